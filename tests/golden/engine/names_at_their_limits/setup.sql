CREATE TYPE "quo""te" AS ENUM ('a', 'it''s');
CREATE TABLE "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" ("select" integer CONSTRAINT "Key" PRIMARY KEY, "ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" text, word "quo""te", "über" integer);
CREATE TABLE "naïve" (id integer PRIMARY KEY);
INSERT INTO "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn" VALUES (1, 'x', 'it''s', 1);
