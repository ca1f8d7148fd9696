CREATE TABLE stock (id integer PRIMARY KEY, organization_id integer, amount integer, price numeric, weight float8);
INSERT INTO stock VALUES (1, 1, 10, 1.5, 0.5), (2, 2, 10, 1.5, 0.5), (3, 1, NULL, 2, NULL);
