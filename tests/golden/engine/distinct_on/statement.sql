-- $1: organization as int4 (plain)
SELECT (SELECT coalesce(json_agg(row_to_json(t1)), '[]'::json) FROM (
  SELECT DISTINCT ON (t0."status") t0."status" AS "status", t0."orderId" AS "orderId"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t0
  ORDER BY t0."status" ASC NULLS LAST, t0."total" DESC NULLS LAST
) AS t1) AS f0;
