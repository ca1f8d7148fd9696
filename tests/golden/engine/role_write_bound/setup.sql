CREATE TABLE app_1_orders (id int PRIMARY KEY, organization_id int NOT NULL, owner text, total int);
CREATE TABLE app_1_lines (id int PRIMARY KEY, organization_id int NOT NULL, order_id int REFERENCES app_1_orders (id), note text);
INSERT INTO app_1_orders VALUES (1, 1, 'ann', 5), (2, 1, 'bob', 6), (3, 2, 'ann', 7);
INSERT INTO app_1_lines VALUES (1, 1, 1, 'x'), (2, 2, 3, 'y'), (3, 2, 1, 'z');
