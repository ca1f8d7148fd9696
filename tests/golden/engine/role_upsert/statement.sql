-- $1: 3 as int4
-- $2: "new" as text
-- $3: x-hasura-user-id as int4 (session variable)
-- $4: "2026-01-01" as timestamptz
-- $5: "" as text
-- $6: 0 as int4
WITH written AS (
  INSERT INTO "public"."posts" AS t0 ("id", "price", "title", "user_id")
  VALUES ($1::int4, $1::int4, $2::text, $3::int4)
  ON CONFLICT ON CONSTRAINT "posts_pkey" DO UPDATE SET "title" = EXCLUDED."title", "price" = EXCLUDED."price", "changed" = $4::timestamptz
    WHERE (t0."user_id" = $3::int4)
  RETURNING t0.*, CASE WHEN t0.xmax = 0 THEN coalesce((t0."title" <> $5::text), FALSE) ELSE coalesce((t0."price" >= $6::int4), FALSE) END AS "check of a permission"
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."id" AS "id", t1."title" AS "title", t1."changed" AS "changed"
  FROM written AS t1
) AS t2) AS "returning") AS t3), (SELECT NOT bool_and("check of a permission") FROM written);
