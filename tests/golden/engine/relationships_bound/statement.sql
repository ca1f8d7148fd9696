-- $1: organization as int4 (plain)
-- $2: "new" as text
SELECT (SELECT coalesce(json_agg(row_to_json(t9)), '[]'::json) FROM (
  SELECT t0."id" AS "id", (SELECT row_to_json(t4) FROM (
    SELECT t1."name" AS "name", (SELECT coalesce(json_agg(row_to_json(t3)), '[]'::json) FROM (
      SELECT t2."id" AS "id"
      FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t2
      WHERE t2."customer_id" = t1."id" AND t2."organization_id" = t1."organization_id" AND (t2."status" = $2::text)
    ) AS t3) AS "orders"
    FROM (SELECT * FROM "public"."app_1_customers" WHERE "organization_id" = $1::int4) AS t1
    WHERE t1."id" = t0."customer_id" AND t1."organization_id" = t0."organization_id"
  ) AS t4) AS "customer", (SELECT coalesce(json_agg(row_to_json(t8)), '[]'::json) FROM (
    SELECT t5."content" AS "content", (SELECT row_to_json(t7) FROM (
      SELECT t6."orderId" AS "orderId"
      FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t6
      WHERE t6."id" = t5."order_id" AND t6."organization_id" = t5."organization_id"
    ) AS t7) AS "order"
    FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $1::int4) AS t5
    WHERE t5."order_id" = t0."id" AND t5."organization_id" = t0."organization_id"
    ORDER BY t5."id" DESC NULLS FIRST
    LIMIT 1
  ) AS t8) AS "messages"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t0
  ORDER BY t0."id" ASC NULLS LAST
) AS t9) AS f0;
