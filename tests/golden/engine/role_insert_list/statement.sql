-- $1: $rows[].id as int4[]
-- $2: $rows[].title as text[]
-- $3: x-hasura-user-id as int4 (session variable)
-- $4: "" as text
WITH written AS (
  INSERT INTO "public"."posts" AS t0 ("id", "title", "user_id")
  SELECT u.c0, u.c1, $3::int4
  FROM unnest($1::int4[], $2::text[]) AS u (c0, c1)
  RETURNING t0.*, coalesce((t0."title" <> $4::text), FALSE) AS "check of a permission"
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."id" AS "id", t1."user_id" AS "user_id"
  FROM written AS t1
) AS t2) AS "returning") AS t3), (SELECT NOT bool_and("check of a permission") FROM written);
