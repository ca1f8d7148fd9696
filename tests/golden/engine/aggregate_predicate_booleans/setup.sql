CREATE TABLE orders (id integer PRIMARY KEY);
CREATE TABLE parts (id integer PRIMARY KEY, order_id integer REFERENCES orders, ready boolean, size text);
INSERT INTO orders VALUES (1), (2), (3), (4);
INSERT INTO parts VALUES (1, 1, true, 's'), (2, 1, true, 's'), (3, 2, true, 'l'), (4, 2, false, 'l'), (5, 3, NULL, 's');
