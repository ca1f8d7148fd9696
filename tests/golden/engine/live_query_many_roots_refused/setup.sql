CREATE TABLE notes (id serial PRIMARY KEY, organization_id integer, body text, tags text[], at timestamptz);
CREATE TABLE replies (id serial PRIMARY KEY, organization_id integer, note_id integer REFERENCES notes, body text);
INSERT INTO notes (organization_id, body, tags, at) VALUES
  (1, 'one', '{a}', '2024-01-01 00:00:00Z'), (2, 'two', '{b}', '2024-01-01 00:00:00Z'), (1, 'three', '{"a,b"}', '2024-01-02 00:00:00Z'),
  (1, 'four', '{c}', '2024-01-02 00:00:00Z'), (1, 'five', NULL, '2024-01-03 00:00:00Z');
INSERT INTO replies (organization_id, note_id, body) VALUES (1, 1, 'r1'), (2, 1, 'r2');
