-- $1: organization as int4 (plain)
-- $2: x-hasura-pattern as text (session variable)
-- $3: 0 as int4
-- $4: 1 as int4
-- $5: x-hasura-user-id as text (session variable)
WITH written AS (
  UPDATE "public"."app_1_orders" AS t0
  SET "total" = t0."total" + $4::int4
  WHERE t0."organization_id" = $1::int4 AND CASE WHEN t0."organization_id" = $1::int4 THEN (t0."owner" LIKE (SELECT $2::text)::text) AND (t0."total" > $3::int4) ELSE FALSE END
  RETURNING t0.*, coalesce((t0."owner" = $5::text), FALSE) AS "check of a permission"
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."id" AS "id"
  FROM written AS t1
) AS t2) AS "returning") AS t3), (SELECT NOT bool_and("check of a permission") FROM written);
