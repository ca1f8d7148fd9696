CREATE TABLE documents (id integer PRIMARY KEY, a jsonb, b jsonb, c jsonb, d jsonb, e jsonb);
INSERT INTO documents VALUES (1, '{"k": 1}', '[1]', '{"k": 1, "l": 2}', '["x", "y", "z"]', '{"m": {"n": [1, 2]}}');
