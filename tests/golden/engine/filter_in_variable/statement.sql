-- $1: organization as int4 (plain)
-- $2: $where._or.0.status._in as text[]
-- $3: $where._or.1.customer.name._eq as text
SELECT (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t0."id" AS "id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t0
  WHERE ((t0."status" = ANY ($2::text[])) OR EXISTS (SELECT FROM (SELECT * FROM "public"."app_1_customers" WHERE "organization_id" = $1::int4) AS t1 WHERE t1."id" = t0."customer_id" AND t1."organization_id" = t0."organization_id" AND (t1."name" = $3::text))) AND (t0."total" IS NOT NULL)
  ORDER BY t0."id" ASC NULLS LAST
) AS t2) AS f0;
