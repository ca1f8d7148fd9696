-- $1: 4 as int4
-- $2: "stolen" as text
-- $3: organization as int4 (plain)
WITH written AS (
  INSERT INTO "public"."app_1_orders" AS t0 ("id", "orderId", "organization_id")
  VALUES ($1::int4, $2::text, $3::int4)
  ON CONFLICT ON CONSTRAINT "app_1_orders_pkey" DO UPDATE SET "orderId" = EXCLUDED."orderId", "organization_id" = EXCLUDED."organization_id"
    WHERE t0."organization_id" = $3::int4
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t3) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows", (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t1."id" AS "id", t1."organization_id" AS "organization_id"
  FROM written AS t1
) AS t2) AS "returning") AS t3);
