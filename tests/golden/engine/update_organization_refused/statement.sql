-- $1: organization as int4 (plain)
-- $2: 2 as int4 (own organization)
WITH written AS (
  UPDATE "public"."app_1_orders" AS t0
  SET "organization_id" = $2::int4
  WHERE t0."organization_id" = $1::int4
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows") AS t2);
