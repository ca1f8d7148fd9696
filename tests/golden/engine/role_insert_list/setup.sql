CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL UNIQUE, admin bool NOT NULL DEFAULT false);
CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users (id), title text NOT NULL, published bool NOT NULL DEFAULT false,
                    price int, least_price int, changed timestamptz);
CREATE TABLE comments (id int PRIMARY KEY, post_id int NOT NULL REFERENCES posts (id), user_id int, body text);
INSERT INTO users VALUES (1, 'ann', true), (2, 'bob', false);
INSERT INTO posts VALUES (1, 1, 'a1', true, 10, 5), (2, 1, 'a2', false, 1, 5), (3, 2, 'b1', true, 7, 5), (4, 2, 'b2', false, 5, 5);
INSERT INTO comments VALUES (1, 1, 2, 'c1'), (2, 1, 1, 'c2'), (3, 2, 1, 'c3'), (4, 3, 1, 'c4');
