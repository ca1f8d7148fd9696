-- $1: 9 as int4
-- $2: "" as text
-- $3: x-hasura-user-id as int4 (session variable)
WITH written AS (
  INSERT INTO "public"."posts" AS t0 ("id", "title", "user_id")
  VALUES ($1::int4, $2::text, $3::int4)
  RETURNING t0.*, coalesce((t0."title" <> $2::text), FALSE) AS "check of a permission"
)
SELECT (SELECT row_to_json(t2) FROM (
  SELECT t1."id" AS "id"
  FROM written AS t1 LIMIT 1
) AS t2), (SELECT NOT bool_and("check of a permission") FROM written);
