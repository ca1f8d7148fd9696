CREATE TABLE colors (value text PRIMARY KEY, comment text);
INSERT INTO colors VALUES ('red', 'warm'), ('deep_blue', NULL);
CREATE TABLE "wri""ters é" (id integer CONSTRAINT writer_key PRIMARY KEY, "full 'name'" text, "ccccccccccccccccccccccccccccccccccccccccééééééééééé" text);
CREATE TABLE books (id integer PRIMARY KEY, "writer id" integer NOT NULL REFERENCES "wri""ters é", color text REFERENCES colors);
INSERT INTO "wri""ters é" VALUES (1, 'Ann', 'a'), (2, 'Bob', 'b');
INSERT INTO books VALUES (1, 1, 'red'), (2, 1, NULL), (3, 2, 'red');
