CREATE TABLE nodes (
  id integer PRIMARY KEY, organization_id integer, parent_id integer, UNIQUE (id, organization_id),
  FOREIGN KEY (parent_id, organization_id) REFERENCES nodes (id, organization_id));
INSERT INTO nodes VALUES (1, 1, NULL), (2, 1, 1), (3, 1, 2), (4, 1, 3), (5, 2, NULL);
