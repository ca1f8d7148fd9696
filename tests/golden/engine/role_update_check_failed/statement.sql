-- $1: x-hasura-user-id as int4 (session variable)
-- $2: 3 as int4
-- $3: "2026-01-01" as timestamptz
-- $4: -1 as int4
-- $5: 0 as int4
WITH written AS (
  UPDATE "public"."posts" AS t0
  SET "changed" = $3::timestamptz, "price" = $4::int4
  WHERE (t0."user_id" = $1::int4) AND (t0."id" = $2::int4)
  RETURNING t0.*, coalesce((t0."price" >= $5::int4), FALSE) AS "check of a permission"
)
SELECT (SELECT row_to_json(t2) FROM (
  SELECT t1."id" AS "id"
  FROM written AS t1 LIMIT 1
) AS t2), (SELECT NOT bool_and("check of a permission") FROM written);
