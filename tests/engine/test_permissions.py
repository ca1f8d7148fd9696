"""Permissions by role on a real PostgreSQL: what a role sees, reads and writes, and how it is told no.

The tables carry their permissions as the metadata would give them (`served`); the requests that change metadata have tests of
their own. Goldens of the statements are tests/golden/engine/role_*.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from automio.engine.engine import Caller, Engine, _Reading
from automio.engine.metadata_types import (
    DeletePermission,
    InsertPermission,
    RolePermissions,
    SelectPermission,
    UpdatePermission,
)
from automio.engine.permissions import check_permission
from automio.engine.permissions_filter import PermissionFault
from automio.engine.refusal import Refusal

SETUP = """
DROP SCHEMA public CASCADE; CREATE SCHEMA public;
CREATE TYPE mood AS ENUM ('bad', 'good');
CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL UNIQUE, admin bool NOT NULL DEFAULT false, secret text);
CREATE TABLE posts (id serial PRIMARY KEY, user_id int REFERENCES users (id), title text NOT NULL DEFAULT '', body text,
                    published bool NOT NULL DEFAULT false, price numeric, least_price numeric, tags text[], details jsonb,
                    mood mood, key uuid, changed timestamptz, UNIQUE (user_id, title));
CREATE TABLE comments (id serial PRIMARY KEY, post_id int NOT NULL REFERENCES posts (id), body text, user_id int);
INSERT INTO users VALUES (1, 'ann', true, 's1'), (2, 'bob', false, 's2'), (3, 'cy', false, 's3');
INSERT INTO posts (user_id, title, published, price, least_price, tags, details, mood, key) VALUES
  (1, 'a1', true, 10, 5, '{x}', '{"k": 1}', 'good', '11111111-1111-1111-1111-111111111111'),
  (1, 'a2', false, 1, 5, '{x,y}', '{"l": 1}', 'bad', NULL),
  (2, 'b1', true, 7, 5, '{}', NULL, NULL, NULL),
  (2, 'b2', false, 5, 5, NULL, '{"k": {"m": 1}}', 'good', NULL);
INSERT INTO comments (post_id, body, user_id) VALUES (1, 'c1', 2), (1, 'c2', 3), (2, 'c3', 1), (3, 'c4', 1), (4, 'c5', 2);
"""

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = {"user_id": "X-Hasura-User-Id"}
Permissions = Mapping[str, Mapping[str, RolePermissions]]
"""Table -> role -> what it may do."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(database: str) -> AsyncIterator[Engine]:
    engine = await Engine.connect(database, pool_size=2)
    yield engine
    await engine.close()


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def fresh(engine: Engine) -> None:
    await engine.run_sql(SETUP)


def serve(engine: Engine, permissions: Permissions) -> None:
    """The engine with these permissions."""
    tables = {
        name: replace(table, permissions=permissions.get(name, {})) for name, table in engine.catalog.tables.items()
    }
    engine._reading = _Reading(replace(engine.catalog, tables=tables), False)


def select(filter: Any = None, columns: tuple[str, ...] | None = None, **more: Any) -> SelectPermission:
    return SelectPermission(columns, {} if filter is None else filter, **more)


def user(number: int | None = None, role: str = "user", **more: Any) -> Caller:
    session = {f"x-hasura-{name.replace('_', '-')}": value for name, value in more.items()}
    if number is not None:
        session["x-hasura-user-id"] = str(number)
    return Caller(role, session=session)


async def ask(engine: Engine, caller: Caller, query: str, **variables: Any) -> Any:
    body: dict[str, Any] = {"query": query}
    if variables:
        body["variables"] = variables
    answer = json.loads(await engine.execute(caller, body))
    return answer["data"] if "data" in answer else fault(answer)


def fault(answer: Any) -> tuple[str, str, str]:
    [error] = answer["errors"]
    return error["message"], error["extensions"]["code"], error["extensions"]["path"]


async def ids(engine: Engine, where: Any, table: str = "posts", **session: Any) -> list[int] | tuple[str, str, str]:
    """The ids that a role with this filter reads."""
    serve(engine, {table: {"user": RolePermissions(select(where))}})
    answer = await ask(engine, user(**session), f"{{ {table}(order_by: {{id: asc}}) {{ id }} }}")
    return [row["id"] for row in answer[table]] if isinstance(answer, dict) else answer


# ── the language of conditions ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"user_id": 1}, [1, 2]),
        ({"user_id": "1"}, [1, 2]),
        ({"user_id": "X-HASURA-User-id"}, [3, 4]),
        ({"user_id": {"$eq": "x-hasura-user-id"}, "published": {"_eq": True}}, [3]),
        ({"$and": [{"user_id": {"_ne": "X-Hasura-User-Id"}}, {"published": True}]}, [1]),
        ({"_or": [{"id": 1}, {"$not": {"published": False}}]}, [1, 3]),
        ({"_or": []}, []),
        ({"_not": {}}, []),
        ({"id": {"_in": [1, "X-Hasura-User-Id", 4]}}, [1, 2, 4]),
        ({"id": {"_nin": [1, "X-Hasura-User-Id", 4]}}, [3]),
        ({"id": {"_in": "X-Hasura-Ids"}}, [1, 3]),
        ({"id": {"$nin": "X-Hasura-Ids"}}, [2, 4]),
        ({"title": {"_in": "X-Hasura-Titles"}}, [1, 3]),
        ({"title": {"_like": "a%"}}, [1, 2]),
        ({"title": {"_iregex": "X-Hasura-Pattern"}}, [3, 4]),
        ({"price": {"_gte": "X-Hasura-Price"}}, [1, 3]),
        ({"published": "X-Hasura-Published"}, [1, 3]),
        ({"mood": "X-Hasura-Mood"}, [1, 4]),
        ({"mood": {"_is_null": True}}, [3]),
        ({"mood": None}, [3]),
        ({"mood": {"_neq": None}}, [1, 2, 4]),
        ({"key": "X-Hasura-Key"}, [1]),
        ({"tags": {"_contains": ["y"]}}, [2]),
        ({"tags": {"_contains": "X-Hasura-Tags"}}, [1, 2]),
        ({"tags": "X-Hasura-Json-Tags"}, [2]),
        ({"details": {"_has_key": "X-Hasura-Detail"}}, [1, 4]),
        ({"details": {"_has_keys_any": "X-Hasura-Details"}}, [1, 2, 4]),
        ({"details": {"_has_keys_all": ["X-Hasura-Detail", "l"]}}, []),
        ({"details": {"_contains": "X-Hasura-Json"}}, [1]),
        ({"details": {"_cast": {"String": {"_like": "%m%"}}}}, [4]),
        ({"price": {"_cgt": "least_price"}}, [1, 3]),
        ({"price": {"$ceq": ["least_price"]}}, [4]),
        ({"comments": {"user_id": {"_ceq": ["$", "user_id"]}}}, [2, 4]),
        ({"user": {"admin": True}}, [1, 2]),
        ({"user": {"posts": {"comments": {"body": "c4"}}}}, [3, 4]),
        ({"comments": {}}, [1, 2, 3, 4]),
        ({"_exists": {"_table": "users", "_where": {"id": "X-Hasura-User-Id", "admin": True}}}, []),
        ({"_exists": {"_table": {"schema": "public", "name": "users"}, "_where": {"name": "bob"}}}, [1, 2, 3, 4]),
        ({"_exists": {"_table": "users", "_where": {"name": {"_ceq": ["$", "title"]}}}}, []),
    ],
    ids=lambda value: None if isinstance(value, list) else json.dumps(value)[:60],
)  # fmt: skip
async def test_conditions(engine: Engine, where: Any, expected: list[int]) -> None:
    session = {
        "user_id": "2", "ids": "{1,3}", "titles": '["a1", "b1"]', "pattern": "^B", "price": "7.0", "published": "true", "mood": "good",
        "key": "11111111-1111-1111-1111-111111111111", "tags": "{x}", "json_tags": '["x", "y"]', "detail": "k",
        "details": '{k,"l"}', "json": '{"k": 1}',
    }  # fmt: skip
    assert await ids(engine, where, **session) == expected


@pytest.mark.parametrize(
    ("where", "session", "expected"),
    [
        (OWN, {}, ('missing session variable: "x-hasura-user-id"', "not-found", "$")),
        (OWN, {"user_id": "one"}, ('invalid input syntax for type integer: "one"', "data-exception", "$")),
        ({"id": {"_in": "X-Hasura-Ids"}}, {"ids": "1,2"}, ('malformed array literal: "1,2"', "data-exception", "$")),
        ({"id": {"_in": "X-Hasura-Ids"}}, {"ids": "{1,two}"}, ('invalid input syntax for type integer: "two"', "data-exception", "$")),
        ({"key": "X-Hasura-Key"}, {"key": "no"}, ('invalid input syntax for type uuid: "no"', "data-exception", "$")),
    ],
)  # fmt: skip
async def test_session_variables_that_do_not_fit(engine: Engine, where: Any, session: Any, expected: Any) -> None:
    assert await ids(engine, where, **session) == expected


@pytest.mark.parametrize("text", ["{}", "[]", "{ }", '{"a,b","c\\"d"}', '["a,b", "c\\"d"]', '{a b, "NULL"}'])
async def test_session_lists_are_read_like_postgresql_does(engine: Engine, text: str) -> None:
    wanted = json.loads(text) if text[0] == "[" else await engine._database.one_value(f"SELECT '{text}'::text[]")
    await engine.run_sql(
        "DELETE FROM comments; INSERT INTO comments (post_id, body) VALUES (1, 'a,b'), (1, 'c\"d'), (1, 'a b'), (1, 'NULL')"
    )
    serve(engine, {"comments": {"user": RolePermissions(select({"body": {"_in": "X-Hasura-Bodies"}}))}})
    answer = await ask(engine, user(bodies=text), "{ comments { body } }")
    assert sorted(row["body"] for row in answer["comments"]) == sorted(wanted)


async def test_a_session_variable_is_bound_and_plans_are_shared(engine: Engine) -> None:
    serve(engine, {"posts": {"user": RolePermissions(select(OWN))}})
    query = "{ posts(order_by: {id: asc}) { id } }"
    for number, expected in ((1, [1, 2]), (2, [3, 4])):
        assert [row["id"] for row in (await ask(engine, user(number), query))["posts"]] == expected
    assert len(engine._reading._programs) == 1
    hostile = user(name="x' OR true --")
    serve(engine, {"posts": {"user": RolePermissions(select({"title": "X-Hasura-Name"}))}})
    [statement] = await engine.explain(hostile, {"query": query})
    assert "OR true" not in statement.text
    assert await ask(engine, hostile, query) == {"posts": []}


@pytest.mark.parametrize(
    ("permission", "message", "code"),
    [
        (select({"nope": 1}), '"nope" does not exist', "not-exists"),
        (select({"user": {"nope": 1}}), '"nope" does not exist', "not-exists"),
        (select({"id": {"_near": 1}}), "Unknown operator: _near", "unexpected-payload"),
        (select({"id": {"_like": "a"}}), ' is of type "integer"; this operator works only on columns of type "text", "varchar", "bpchar", "citext", "name"', "unexpected-payload"),
        (select({"id": {"_has_key": "a"}}), ' is of type "integer"; this operator works only on columns of type "jsonb"', "unexpected-payload"),
        (select({"id": "one"}), 'invalid input syntax for type integer: "one"', "data-exception"),
        (select({"id": {"_ceq": "title"}}), 'incompatible column types: "id" has type "integer", but "title" has type "text"', "unexpected-payload"),
        (select({"id": {"_ceq": ["user", "id"]}}), "Relationship references are not supported in column comparison RHS", "not-supported"),
        (select({"_exists": {"_table": "nope", "_where": {}}}), 'table "nope" does not exist', "not-exists"),
        (select({"id": {"_cast": {"String": {"_eq": "1"}}}}), 'cannot cast column of type "integer" to type "String"', "unexpected-payload"),
        (select({}, ("id", "nope")), '"nope" does not exist', "not-exists"),
        (select({}, limit=-1), "unexpected negative value", "not-supported"),
        (InsertPermission(None, {}, {"nope": 1}), 'column "nope" not found in table "posts"', "not-exists"),
        (UpdatePermission(None, {}, {"nope": 1}), '"nope" does not exist', "not-exists"),
        (DeletePermission([]), "a boolean expression must be an object", "parse-failed"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)  # fmt: skip
async def test_a_permission_that_does_not_fit(engine: Engine, permission: Any, message: str, code: str) -> None:
    table = engine.catalog.tables["posts"]
    with pytest.raises(PermissionFault) as caught:
        check_permission(engine.catalog, table, permission)
    assert (caught.value.message, caught.value.code) == (message, code)


async def test_a_permission_whose_column_is_gone_is_none(engine: Engine) -> None:
    assert await ids(engine, {"gone": 1}) == (
        "field 'posts' not found in type: 'query_root'", "validation-failed", "$.selectionSet.posts",
    )  # fmt: skip


# ── what a role reads ───────────────────────────────────────────────────────────────────────────────────────────────────

READER: Permissions = {
    "users": {"user": RolePermissions(select({"id": "X-Hasura-User-Id"}, ("id", "name")))},
    "posts": {"user": RolePermissions(select({"_or": [OWN, {"published": True}]}, ("id", "user_id", "title", "price"), limit=2, allow_aggregations=True))},
    "comments": {"user": RolePermissions(select(OWN))},
}  # fmt: skip


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("{ users { id name } }", {"users": [{"id": 2, "name": "bob"}]}),
        ("{ users_by_pk(id: 1) { id } me: users_by_pk(id: 2) { id } }", {"users_by_pk": None, "me": {"id": 2}}),
        # a limit caps what is asked for, from literals and from variables
        ("{ posts(order_by: {id: asc}) { id } }", {"posts": [{"id": 1}, {"id": 3}]}),
        ("{ posts(order_by: {id: asc}, limit: 3) { id } }", {"posts": [{"id": 1}, {"id": 3}]}),
        ("{ posts(order_by: {id: asc}, limit: 1) { id } }", {"posts": [{"id": 1}]}),
        # the filter of a related table stands in relationships, also in a where, an order and an aggregate
        ("{ posts(where: {user: {}}, order_by: {id: asc}) { id user { id } } }", {"posts": [{"id": 3, "user": {"id": 2}}, {"id": 4, "user": {"id": 2}}]}),
        ("{ posts(where: {_not: {user: {}}}) { id user { id } } }", {"posts": [{"id": 1, "user": None}]}),
        ("{ posts(where: {comments: {body: {_neq: \"c2\"}}}, order_by: {id: asc}) { id comments { body } } }",
         {"posts": [{"id": 1, "comments": [{"body": "c1"}]}, {"id": 4, "comments": [{"body": "c5"}]}]}),
        ("{ posts(order_by: [{user: {name: asc_nulls_last}}, {id: desc}]) { id } }", {"posts": [{"id": 4}, {"id": 3}]}),
        # of an aggregate the nodes are capped, its values are not
        ("{ posts_aggregate(order_by: {id: asc}) { aggregate { count max { price } } nodes { id } } }",
         {"posts_aggregate": {"aggregate": {"count": 3, "max": {"price": 10}}, "nodes": [{"id": 1}, {"id": 3}]}}),
        ("{ posts_aggregate(order_by: {id: asc}, limit: 1) { aggregate { count } nodes { id } } }",
         {"posts_aggregate": {"aggregate": {"count": 1}, "nodes": [{"id": 1}]}}),
        ("{ posts_aggregate(order_by: {id: desc}) { aggregate { count(columns: [user_id], distinct: true) } nodes { id } } }",
         {"posts_aggregate": {"aggregate": {"count": 2}, "nodes": [{"id": 4}, {"id": 3}]}}),
        ("{ users { posts_aggregate { aggregate { count } } posts(order_by: {id: desc}, limit: 5) { id } } }",
         {"users": [{"posts_aggregate": {"aggregate": {"count": 2}}, "posts": [{"id": 4}, {"id": 3}]}]}),
        ("{ users(where: {posts_aggregate: {count: {predicate: {_eq: 2}}}}) { id } }", {"users": [{"id": 2}]}),
    ],
)  # fmt: skip
async def test_reads(engine: Engine, query: str, expected: Any) -> None:
    serve(engine, READER)
    assert await ask(engine, user(2), query) == expected


async def test_a_limit_in_a_variable_is_capped_too(engine: Engine) -> None:
    serve(engine, READER)
    query = "query ($n: Int) { posts(order_by: {id: asc}, limit: $n) { id } }"
    for limit, count in ((1, 1), (9, 2), (None, 2), (0, 0)):
        assert len((await ask(engine, user(2), query, n=limit))["posts"]) == count


@pytest.mark.parametrize(
    ("query", "message", "path"),
    [
        ("{ users { secret } }", "field 'secret' not found in type: 'users'", "$.selectionSet.users.selectionSet.secret"),
        ("{ users(where: {secret: {_eq: \"s1\"}}) { id } }", "field 'secret' not found in type: 'users_bool_exp'", "$.selectionSet.users.args.where.secret"),
        ("{ users(order_by: {admin: asc}) { id } }", "field 'admin' not found in type: 'users_order_by'", "$.selectionSet.users.args.order_by[0].admin"),
        ("{ users_aggregate { aggregate { count } } }", "field 'users_aggregate' not found in type: 'query_root'", "$.selectionSet.users_aggregate"),
        ("{ posts { comments_aggregate { aggregate { count } } } }", "field 'comments_aggregate' not found in type: 'posts'", "$.selectionSet.posts.selectionSet.comments_aggregate"),
        ("{ posts_aggregate { aggregate { max { key } } } }", "field 'key' not found in type: 'posts_max_fields'", "$.selectionSet.posts_aggregate.selectionSet.aggregate.selectionSet.max.selectionSet.key"),
        ("mutation { delete_posts(where: {}) { affected_rows } }", "no mutations exist", "$"),
    ],
)  # fmt: skip
async def test_what_a_role_may_not_see_does_not_exist(engine: Engine, query: str, message: str, path: str) -> None:
    serve(engine, READER)
    assert await ask(engine, user(2), query) == (message, "validation-failed", path)


async def test_a_role_without_permissions_sees_nothing(engine: Engine) -> None:
    serve(engine, READER)
    stranger = user(1, role="stranger")
    text = "field 'users' not found in type: 'query_root'"
    assert await ask(engine, stranger, "{ users { id } }") == (text, "validation-failed", "$.selectionSet.users")
    assert await ask(engine, stranger, '{ __type(name: "users") { name } __typename }') == {
        "__type": None,
        "__typename": "query_root",
    }
    found = await ask(engine, stranger, "{ __schema { queryType { fields { name } } mutationType { name } } }")
    assert found == {"__schema": {"queryType": {"fields": [{"name": "no_queries_available"}]}, "mutationType": None}}


async def test_by_key_needs_its_columns_and_root_fields_can_be_left_out(engine: Engine) -> None:
    serve(engine, {
        "users": {"user": RolePermissions(select({}, ("name",)))},
        "posts": {"user": RolePermissions(select({}, query_root_fields=frozenset({"select_by_pk"}), subscription_root_fields=frozenset()))},
    })  # fmt: skip
    found = await ask(
        engine, user(1), "{ __schema { queryType { fields { name } } subscriptionType { fields { name } } } }"
    )
    assert [one["name"] for one in found["__schema"]["queryType"]["fields"]] == ["posts_by_pk", "users"]
    assert [one["name"] for one in found["__schema"]["subscriptionType"]["fields"]] == ["users", "users_stream"]
    assert await ask(engine, user(1), "{ posts_by_pk(id: 2) { user { name } } }") == {
        "posts_by_pk": {"user": {"name": "ann"}}
    }


async def test_no_columns_but_aggregates(engine: Engine) -> None:
    serve(engine, {"posts": {"user": RolePermissions(select({}, (), allow_aggregations=True))}})
    assert await ask(engine, user(), "{ posts_aggregate { aggregate { count } } }") == {
        "posts_aggregate": {"aggregate": {"count": 4}}
    }
    message, code, path = await ask(engine, user(), "{ posts_aggregate { aggregate { count(columns: [id]) } } }")
    assert (message, code) == ("'count' has no argument named 'columns'", "validation-failed")
    assert path == "$.selectionSet.posts_aggregate.selectionSet.aggregate.selectionSet.count"


async def test_a_filter_of_the_user_cannot_tell_of_rows_outside_of_the_roles(engine: Engine) -> None:
    """A pattern that is at fault on some row must not be tried on rows that the role may not see."""
    serve(engine, {"posts": {"user": RolePermissions(select({"id": {"_lt": 0}}))}})
    query = '{ posts(where: {title: {_like: "a\\\\"}}) { id } }'
    assert await ask(engine, user(), query) == {"posts": []}
    serve(engine, {"posts": {"user": RolePermissions(select(), delete=DeletePermission({"id": {"_lt": 0}}))}})
    answer = await ask(
        engine, user(), query.replace("{ posts(", "mutation { delete_posts(").replace("{ id }", "{ affected_rows }")
    )
    assert answer == {"delete_posts": {"affected_rows": 0}}


# ── what a role writes ──────────────────────────────────────────────────────────────────────────────────────────────────

CHECK = ("check constraint of an insert/update permission has failed", "permission-error")
WRITER: Permissions = {
    "users": {"user": RolePermissions(
        select({"id": "X-Hasura-User-Id"}, ("id", "name")),
        insert=InsertPermission(("id", "name"), {"admin": False}, {"secret": "X-Hasura-Secret"}),
    )},
    "posts": {"user": RolePermissions(
        select({}, ("id", "user_id", "title", "published", "changed")),
        insert=InsertPermission(("title", "body", "price"), {"title": {"_neq": ""}}, {"user_id": "X-Hasura-User-Id", "published": False}),
        update=UpdatePermission(("title", "published", "price"), OWN, {"title": {"_like": "b%"}}, {"changed": "2026-01-01"}),
        delete=DeletePermission({**OWN, "published": False}),
    )},
    "comments": {"user": RolePermissions(
        select({}),
        insert=InsertPermission(("body", "post_id"), {"post": {"_or": [{"published": True}, OWN]}}, {"user_id": "X-Hasura-User-Id"}),
    )},
}  # fmt: skip


async def rows(engine: Engine, table: str, *columns: str) -> list[Any]:
    found = await ask(engine, Caller(), f"{{ {table}(order_by: {{id: asc}}) {{ {' '.join(columns)} }} }}")
    return [tuple(row[column] for column in columns) for row in found[table]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # presets are put in and are no fields of the input
        ('mutation { insert_posts_one(object: {title: "b3"}) { user_id title published } }',
         {"insert_posts_one": {"user_id": 2, "title": "b3", "published": False}}),
        ('mutation { insert_posts(objects: [{title: "b3"}, {title: "b4", price: 3}]) { affected_rows returning { user_id } } }',
         {"insert_posts": {"affected_rows": 2, "returning": [{"user_id": 2}, {"user_id": 2}]}}),
        ('mutation { insert_posts(objects: {user_id: 1}) { affected_rows } }',
         ("field 'user_id' not found in type: 'posts_insert_input'", "validation-failed", "$.selectionSet.insert_posts.args.objects[0].user_id")),
        ('mutation { insert_posts(objects: {key: "x"}) { affected_rows } }',
         ("field 'key' not found in type: 'posts_insert_input'", "validation-failed", "$.selectionSet.insert_posts.args.objects[0].key")),
        # the check sees the row as it was written
        ('mutation { insert_posts(objects: [{title: "b3"}, {title: ""}]) { affected_rows } }', (*CHECK, "$.selectionSet.insert_posts.args.objects")),
        ('mutation { insert_posts_one(object: {price: 1}) { id } }', (*CHECK, "$.selectionSet.insert_posts_one.args.object")),
        ('mutation { insert_comments_one(object: {post_id: 2}) { id } }', (*CHECK, "$.selectionSet.insert_comments_one.args.object")),
        ('mutation { insert_comments_one(object: {post_id: 1, body: "n"}) { user_id body } }', {"insert_comments_one": {"user_id": 2, "body": "n"}}),
        # nested, each table with its own presets and checks
        ('mutation { insert_posts_one(object: {title: "b3", comments: {data: [{body: "n"}]}}) { user_id comments { body user_id } } }',
         {"insert_posts_one": {"user_id": 2, "comments": [{"body": "n", "user_id": 2}]}}),
        ('mutation { insert_comments_one(object: {body: "n", post: {data: {title: "b3"}}}) { user_id post { user_id } } }',
         {"insert_comments_one": {"user_id": 2, "post": {"user_id": 2}}}),
        ('mutation { insert_comments_one(object: {body: "n", post: {data: {title: ""}}}) { id } }', (*CHECK, "$.selectionSet.insert_comments_one.args.object")),
        ('mutation { insert_users_one(object: {id: 7, name: "n"}) { id } }', ('missing session variable: "x-hasura-secret"', "not-found", "$")),
        # updates: the filter of the update, its presets, its check
        ('mutation { update_posts(where: {}, _set: {title: "b9"}) { affected_rows } }',
         ('Uniqueness violation. duplicate key value violates unique constraint "posts_user_id_title_key"', "constraint-violation", "$")),
        ('mutation { update_posts(where: {title: {_eq: "b1"}}, _set: {title: "b9"}) { affected_rows returning { id title changed } } }',
         {"update_posts": {"affected_rows": 1, "returning": [{"id": 3, "title": "b9", "changed": "2026-01-01T00:00:00+00:00"}]}}),
        ('mutation { update_posts(where: {id: {_in: [1, 3]}}, _set: {published: false}) { affected_rows } }', {"update_posts": {"affected_rows": 1}}),
        ('mutation { update_posts_by_pk(pk_columns: {id: 1}, _set: {title: "b"}) { id } }', {"update_posts_by_pk": None}),
        ('mutation { update_posts(where: {id: {_eq: 3}}, _set: {title: "x"}) { affected_rows } }', (*CHECK, "$")),
        ('mutation { update_posts(where: {id: {_eq: 3}}) { affected_rows } }', {"update_posts": {"affected_rows": 1}}),
        ('mutation { update_posts_many(updates: [{where: {id: {_eq: 3}}, _set: {title: "b"}}, {where: {id: {_eq: 4}}, _set: {title: "x"}}]) { affected_rows } }', (*CHECK, "$")),
        ('mutation { update_posts(where: {}, _set: {user_id: 2}) { affected_rows } }',
         ("field 'user_id' not found in type: 'posts_set_input'", "validation-failed", "$.selectionSet.update_posts.args._set.user_id")),
        # deletes
        ('mutation { delete_posts_by_pk(id: 3) { id } }', {"delete_posts_by_pk": None}),
        ('mutation { insert_posts(objects: {title: "b3"}) { affected_rows } delete_posts(where: {title: {_neq: "b2"}}) { returning { title } } }',
         {"insert_posts": {"affected_rows": 1}, "delete_posts": {"returning": [{"title": "b3"}]}}),
        ('mutation { delete_users(where: {}) { affected_rows } }',
         ("field 'delete_users' not found in type: 'mutation_root'", "validation-failed", "$.selectionSet.delete_users")),
        # what is returned shows selectable columns alone
        ('mutation { insert_posts(objects: {title: "b3"}) { returning { price } } }',
         ("field 'price' not found in type: 'posts'", "validation-failed", "$.selectionSet.insert_posts.selectionSet.returning.selectionSet.price")),
    ],
)  # fmt: skip
async def test_writes(engine: Engine, query: str, expected: Any) -> None:
    serve(engine, WRITER)
    before = await rows(engine, "posts", "id", "title", "published"), await rows(engine, "comments", "id", "body")
    assert await ask(engine, user(2), query) == expected
    if isinstance(expected, tuple):
        assert (
            await rows(engine, "posts", "id", "title", "published"),
            await rows(engine, "comments", "id", "body"),
        ) == before


async def test_rows_in_a_variable_get_presets_and_checks(engine: Engine) -> None:
    serve(engine, WRITER)
    query = "mutation ($rows: [posts_insert_input!]!) { insert_posts(objects: $rows) { affected_rows } }"
    assert await ask(engine, user(2), query, rows=[{"title": "b3"}, {"title": "b4"}]) == {
        "insert_posts": {"affected_rows": 2}
    }
    assert (await rows(engine, "posts", "user_id", "title"))[4:] == [(2, "b3"), (2, "b4")]
    assert await ask(engine, user(2), query, rows=[{"title": "b5"}, {"title": ""}]) == (
        *CHECK,
        "$.selectionSet.insert_posts.args.objects",
    )
    assert len(await rows(engine, "posts", "id")) == 6


UPSERT = 'mutation { insert_posts(objects: {title: "b1", price: 1}, on_conflict: {constraint: posts_user_id_title_key, update_columns: [price]%s}) { affected_rows } }'


async def test_an_upsert_has_both_permissions(engine: Engine) -> None:
    serve(engine, WRITER)
    assert await ask(engine, user(2), UPSERT % "") == {"insert_posts": {"affected_rows": 1}}
    assert (await rows(engine, "posts", "id", "price", "user_id", "published", "changed"))[2] == (
        3,
        1,
        2,
        True,
        "2026-01-01T00:00:00+00:00",
    )
    assert await ask(engine, user(2), UPSERT % ', where: {title: {_eq: "x"}}') == {"insert_posts": {"affected_rows": 0}}
    taken = UPSERT.replace("b1", "a1")
    # of the update: its check is for a row that was there, the insert's for a new one
    assert await ask(engine, user(1), taken % "") == (*CHECK, "$.selectionSet.insert_posts.args.objects")
    assert await ask(engine, user(3), taken % "") == {"insert_posts": {"affected_rows": 1}}
    assert len(await rows(engine, "posts", "id")) == 5


async def test_an_upsert_over_a_row_that_may_not_be_updated_changes_nothing(engine: Engine) -> None:
    serve(engine, {"users": {"user": RolePermissions(
        insert=InsertPermission(None, {}), update=UpdatePermission(("name",), {"id": "X-Hasura-User-Id"}),
    )}})  # fmt: skip
    query = 'mutation { insert_users(objects: {id: 1, name: "x"}, on_conflict: {constraint: users_pkey, update_columns: [name]}) { affected_rows } }'
    assert await ask(engine, user(2), query) == {"insert_users": {"affected_rows": 0}}
    assert await ask(engine, user(1), query) == {"insert_users": {"affected_rows": 1}}


async def test_without_a_column_to_update_a_conflict_can_only_be_ignored(engine: Engine) -> None:
    serve(engine, {"users": {"user": RolePermissions(insert=InsertPermission(None, {}))}})
    query = 'mutation { insert_users(objects: {id: 1, name: "x"}, on_conflict: {constraint: users_pkey, update_columns: [%s]}) { affected_rows } }'
    assert await ask(engine, user(2), query % "") == {"insert_users": {"affected_rows": 0}}
    assert await ask(engine, user(2), query % "_PLACEHOLDER") == (
        "erroneous column name",
        "validation-failed",
        "$.selectionSet.insert_users.args.on_conflict",
    )
    assert await ask(engine, user(2), "mutation { insert_users_one(object: {id: 9}) { id } }") == (
        "field 'insert_users_one' not found in type: 'mutation_root'", "validation-failed", "$.selectionSet.insert_users_one",
    )  # fmt: skip


async def test_a_null_check_has_failed(engine: Engine) -> None:
    serve(engine, {"comments": {"user": RolePermissions(insert=InsertPermission(None, {"body": {"_neq": "x"}}))}})
    query = "mutation { insert_comments(objects: {post_id: 1, body: null}) { affected_rows } }"
    assert await ask(engine, user(2), query) == (*CHECK, "$.selectionSet.insert_comments.args.objects")


async def test_backend_only(engine: Engine) -> None:
    serve(engine, {"users": {"user": RolePermissions(
        select({}), insert=InsertPermission(None, {}, backend_only=True), delete=DeletePermission({"id": 3}),
    )}})  # fmt: skip
    query = 'mutation { insert_users(objects: {id: 9, name: "n"}) { affected_rows } }'
    text = "field 'insert_users' not found in type: 'mutation_root'"
    assert await ask(engine, user(1), query) == (text, "validation-failed", "$.selectionSet.insert_users")
    assert await ask(engine, replace(user(1), backend=True), query) == {"insert_users": {"affected_rows": 1}}
    assert await ask(engine, user(1), query) == (text, "validation-failed", "$.selectionSet.insert_users")


# ── a role within an organization ───────────────────────────────────────────────────────────────────────────────────────

TENANTS = """
DROP SCHEMA public CASCADE; CREATE SCHEMA public;
CREATE TABLE app_1_orders (id int PRIMARY KEY, organization_id int NOT NULL, owner text, total int);
CREATE TABLE app_1_lines (id int PRIMARY KEY, organization_id int NOT NULL, order_id int REFERENCES app_1_orders (id), note text);
CREATE TABLE colours (code text PRIMARY KEY);
INSERT INTO app_1_orders VALUES (1, 1, 'ann', 5), (2, 1, 'bob', 6), (3, 2, 'ann', 7), (4, 2, 'bob', 8);
INSERT INTO app_1_lines VALUES (1, 1, 1, 'x'), (2, 2, 3, 'y'), (3, 2, 1, 'z'), (4, 1, 3, 'w');
INSERT INTO colours VALUES ('red');
"""
OWNER = {"owner": "X-Hasura-User-Id"}


async def test_a_bound_caller_with_a_role_has_both_locks(engine: Engine) -> None:
    await engine.run_sql(TENANTS)
    everything = RolePermissions(
        select(OWNER, allow_aggregations=True),
        InsertPermission(None, OWNER),
        UpdatePermission(None, OWNER),
        DeletePermission(OWNER),
    )
    serve(
        engine,
        {
            "app_1_orders": {"user": everything},
            "app_1_lines": {"user": RolePermissions(select({}))},
            "colours": {"user": everything},
        },
    )
    ann = Caller("user", 1, {"x-hasura-user-id": "ann"})
    assert await ask(engine, ann, "{ app_1_orders { id lines { id } } }") == {
        "app_1_orders": [{"id": 1, "lines": [{"id": 1}]}]
    }
    assert await ask(engine, ann, "{ app_1_lines(order_by: {id: asc}) { id order { id } } }") == {
        "app_1_lines": [{"id": 1, "order": {"id": 1}}, {"id": 4, "order": None}]
    }
    assert await ask(engine, ann, "{ app_1_orders_aggregate { aggregate { sum { total } } } }") == {
        "app_1_orders_aggregate": {"aggregate": {"sum": {"total": 5}}}
    }
    assert await ask(
        engine, ann, "mutation { update_app_1_orders(where: {}, _inc: {total: 1}) { affected_rows } }"
    ) == {"update_app_1_orders": {"affected_rows": 1}}
    insert = 'mutation { insert_app_1_orders_one(object: {id: 9, owner: "%s"}) { organization_id } }'
    assert await ask(engine, ann, insert % "ann") == {"insert_app_1_orders_one": {"organization_id": 1}}
    assert await ask(engine, ann, (insert % "bob").replace("9", "10")) == (
        *CHECK,
        "$.selectionSet.insert_app_1_orders_one.args.object",
    )
    assert await ask(
        engine, ann, "mutation { delete_app_1_orders(where: {id: {_in: [2, 3, 4, 9]}}) { affected_rows } }"
    ) == {"delete_app_1_orders": {"affected_rows": 1}}
    assert await rows(engine, "app_1_orders", "id", "total") == [(1, 6), (2, 6), (3, 7), (4, 8)]


async def test_a_condition_of_a_permission_looks_at_own_rows_only(engine: Engine) -> None:
    await engine.run_sql(TENANTS)
    where = {"_exists": {"_table": "app_1_orders", "_where": {"owner": "bob", "total": 8}}}
    through = {"order": {"owner": "X-Hasura-User-Id"}}
    for condition, expected in ((where, {1: [], 2: [2, 3]}), (through, {1: [1], 2: [2]})):
        serve(engine, {"app_1_lines": {"user": RolePermissions(select(condition))}})
        for organization, found in expected.items():
            caller = Caller("user", organization, {"x-hasura-user-id": "ann"})
            answer = await ask(engine, caller, "{ app_1_lines(order_by: {id: asc}) { id } }")
            assert [row["id"] for row in answer["app_1_lines"]] == found


async def test_subscribers_of_one_document_get_their_own_rows(engine: Engine) -> None:
    serve(engine, {"posts": {"user": RolePermissions(select({"id": {"_in": "X-Hasura-Ids"}}))}})
    body = {"query": "subscription { posts(order_by: {id: asc}) { id } }"}
    for ids_, expected in (("{1,3}", [1, 3]), ("[2]", [2]), ("{}", [])):
        subscription = engine.subscribe(user(ids=ids_), body)
        assert subscription is not None
        answer = json.loads(await anext(subscription))
        subscription.close()
        assert [row["id"] for row in answer["data"]["posts"]] == expected
    with pytest.raises(Refusal, match='missing session variable: "x-hasura-ids"'):
        engine.subscribe(user(), body)


async def test_a_stream_of_a_role(engine: Engine) -> None:
    serve(engine, {"posts": {"user": RolePermissions(select(OWN, ("id",), limit=1))}})
    query = "subscription { posts_stream(batch_size: 5, cursor: {initial_value: {id: 0}}) { id } }"
    subscription = engine.subscribe(user(2), {"query": query})
    assert subscription is not None
    answers = [json.loads(await anext(subscription))["data"]["posts_stream"] for _ in range(2)]
    subscription.close()
    assert answers == [[{"id": 3}], [{"id": 4}]]
