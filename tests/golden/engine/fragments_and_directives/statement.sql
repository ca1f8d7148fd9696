-- $1: 1 as int4
SELECT (SELECT coalesce(json_agg(row_to_json(t5)), '[]'::json) FROM (
  SELECT t0."id" AS "id", (SELECT row_to_json(t2) FROM (
    SELECT t1."id" AS "id", t1."name" AS "name"
    FROM "public"."app_1_customers" AS t1
    WHERE t1."id" = t0."customer_id" AND t1."organization_id" = t0."organization_id"
  ) AS t2) AS "customer", (SELECT coalesce(json_agg(row_to_json(t4)), '[]'::json) FROM (
    SELECT t3."id" AS "id"
    FROM "public"."app_1_messages" AS t3
    WHERE t3."order_id" = t0."id" AND t3."organization_id" = t0."organization_id"
  ) AS t4) AS "messages", t0."status" AS "status"
  FROM "public"."app_1_orders" AS t0
  WHERE (t0."id" = $1::int4)
) AS t5) AS f0;
