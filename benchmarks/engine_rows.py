"""The rows that engine.py measures on, the nested query and the same query written by hand (design, section 10: at least 0.85 of it).

100 orders with 5 messages each, 29 kB of JSON, out of ten organizations' rows.
"""

from __future__ import annotations

import socket
import time
from urllib.parse import urlsplit, urlunsplit

IN_FLIGHT = 32
ORGANIZATIONS = 10
TARGET = 0.85
TABLES = """
CREATE TABLE app_1_orders (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), organization_id integer NOT NULL, "orderId" text NOT NULL,
    "buyerLogin" text, status text NOT NULL, delivered boolean NOT NULL, total numeric(12, 2), details jsonb,
    created_at timestamptz NOT NULL, updated_at timestamptz, note text, country text,
    UNIQUE ("orderId", organization_id), UNIQUE (id, organization_id));
CREATE TABLE app_1_messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), organization_id integer NOT NULL, order_id uuid NOT NULL,
    content text NOT NULL, sent_at timestamptz NOT NULL);
INSERT INTO app_1_orders
    SELECT gen_random_uuid(), 1 + i % {organizations}, 'order-' || i, 'buyer' || i % 997, 'new', i % 2 = 0, i % 1000,
           '{{"colour": "red"}}', now() - i * interval '1 second', now(), NULL, 'PL'
    FROM generate_series(1, {orders}) i;
INSERT INTO app_1_messages
    SELECT gen_random_uuid(), o.organization_id, o.id, 'message ' || k, o.created_at + k * interval '1 minute'
    FROM app_1_orders o, generate_series(1, 6) k;
CREATE INDEX ON app_1_orders (organization_id, created_at DESC);
CREATE INDEX ON app_1_messages (order_id, sent_at);
ALTER TABLE app_1_messages ADD FOREIGN KEY (order_id, organization_id) REFERENCES app_1_orders (id, organization_id);
ANALYZE;
"""
DOCUMENT = """
query Newest($delivered: Boolean) {
  app_1_orders(where: {delivered: {_eq: $delivered}}, order_by: {created_at: desc}, limit: 100) {
    id orderId status total created_at
    messages(order_by: {sent_at: asc}, limit: 5) { id content }
  }
}
"""
STATEMENT = """
SELECT coalesce(json_agg(row_to_json(o)), '[]') FROM (
    SELECT id, "orderId", status, total, created_at, (
        SELECT coalesce(json_agg(row_to_json(m)), '[]') FROM (
            SELECT id, content FROM app_1_messages
            WHERE order_id = t.id AND organization_id = $1 ORDER BY sent_at LIMIT 5) m) AS messages
    FROM app_1_orders t WHERE organization_id = $1 ORDER BY created_at DESC LIMIT 100) o
"""


async def load(address: str, name: str, orders: int) -> str:
    """Makes the database with its rows; its address."""
    import asyncpg

    connection = await asyncpg.connect(address)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    dsn = urlunsplit(urlsplit(address)._replace(path=f"/{name}"))
    connection = await asyncpg.connect(dsn)
    await connection.execute(TABLES.format(organizations=ORGANIZATIONS, orders=orders))
    await connection.close()
    return dsn


async def drop(address: str, name: str) -> None:
    """Takes the database away, whoever is connected."""
    import asyncpg

    connection = await asyncpg.connect(address)
    await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    await connection.close()


def wait(port: int) -> None:
    """Returns when something listens there."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not start")
