CREATE TABLE notes (id integer PRIMARY KEY, body text);
INSERT INTO notes VALUES (1, 'z'), (2, 'a'), (3, 'm'), (4, 'a');
