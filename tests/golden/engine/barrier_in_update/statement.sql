-- $1: organization as int4 (plain)
-- $2: $pattern as text
-- $3: "x" as text
WITH written AS (
  UPDATE "public"."app_1_orders" AS t0
  SET "status" = $3::text
  WHERE t0."organization_id" = $1::int4 AND CASE WHEN t0."organization_id" = $1::int4 THEN (t0."orderId" ~ (SELECT $2::text)::text) ELSE FALSE END
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows") AS t2);
