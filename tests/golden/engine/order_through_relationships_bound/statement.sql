-- $1: organization as int4 (plain)
SELECT (SELECT coalesce(json_agg(row_to_json(t4)), '[]'::json) FROM (
  SELECT t0."id" AS "id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t0
  ORDER BY (SELECT t1."name" FROM (SELECT * FROM "public"."app_1_customers" WHERE "organization_id" = $1::int4) AS t1 WHERE t1."id" = t0."customer_id" AND t1."organization_id" = t0."organization_id") ASC NULLS FIRST, (SELECT count(*) FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $1::int4) AS t2 WHERE t2."order_id" = t0."id" AND t2."organization_id" = t0."organization_id") DESC NULLS FIRST, (SELECT max(t3."id") FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $1::int4) AS t3 WHERE t3."order_id" = t0."id" AND t3."organization_id" = t0."organization_id") ASC NULLS LAST
) AS t4) AS f0;
