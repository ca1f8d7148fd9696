-- $1: x-hasura-user-id as int4 (session variable)
-- $2: "b%" as text
-- $3: "2026-01-01" as timestamptz
-- $4: 1 as int4
-- $5: 0 as int4
WITH written AS (
  UPDATE "public"."posts" AS t0
  SET "changed" = $3::timestamptz, "price" = t0."price" + $4::int4
  WHERE (t0."user_id" = $1::int4) AND CASE WHEN (t0."user_id" = $1::int4) THEN (t0."title" LIKE (SELECT $2::text)::text) ELSE FALSE END
  RETURNING t0.*, coalesce((t0."price" >= $5::int4), FALSE) AS "check of a permission"
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."id" AS "id", t1."changed" AS "changed"
  FROM written AS t1
) AS t2) AS "returning") AS t3), (SELECT NOT bool_and("check of a permission") FROM written);
