CREATE TABLE countries (code text PRIMARY KEY, name text);
CREATE TABLE authors (id integer PRIMARY KEY, organization_id integer NOT NULL, country_id text REFERENCES countries);
CREATE TABLE books (
    id integer PRIMARY KEY,
    organization_id integer NOT NULL,
    author_id integer REFERENCES authors ON DELETE CASCADE
);
INSERT INTO countries VALUES ('de', 'Germany');
INSERT INTO authors VALUES (1, 1, 'de'), (2, 2, 'de'), (3, 1, NULL);
INSERT INTO books VALUES (1, 1, 1), (2, 2, 1), (3, 1, 2);
