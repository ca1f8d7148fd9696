-- $1: organization as int4 (plain)
-- $2: $pattern as text
-- $3: "sent" as text
SELECT (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t0."id" AS "id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4 OFFSET 0) AS t0
  WHERE EXISTS (SELECT FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $1::int4 OFFSET 0) AS t1 WHERE t1."order_id" = t0."id" AND t1."organization_id" = t0."organization_id" AND (t1."content" LIKE (SELECT $2::text)::text)) AND (NOT (t0."status" = $3::text))
) AS t2) AS f0;
