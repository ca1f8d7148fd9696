-- $1: organization as int4 (plain)
-- $2: 2 as int8
-- $3: true as bool
-- $4: false as bool
-- $5: 0 as int8
SELECT (SELECT coalesce(json_agg(row_to_json(t3)), '[]'::json) FROM (
  SELECT t0."id" AS "id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t0
  WHERE EXISTS (SELECT FROM (SELECT count(*) AS value FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $1::int4) AS t1 WHERE t1."order_id" = t0."id" AND t1."organization_id" = t0."organization_id") AS t2 WHERE (t2."value" >= $2::int8))
) AS t3) AS f0,
(SELECT coalesce(json_agg(row_to_json(t7)), '[]'::json) FROM (
  SELECT t4."id" AS "id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t4
  WHERE EXISTS (SELECT FROM (SELECT bool_and(t5."read") AS value FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $1::int4) AS t5 WHERE t5."order_id" = t4."id" AND t5."organization_id" = t4."organization_id") AS t6 WHERE (t6."value" = $3::bool))
) AS t7) AS f1,
(SELECT coalesce(json_agg(row_to_json(t11)), '[]'::json) FROM (
  SELECT t8."id" AS "id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t8
  WHERE EXISTS (SELECT FROM (SELECT count(*) AS value FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $1::int4) AS t9 WHERE t9."order_id" = t8."id" AND t9."organization_id" = t8."organization_id" AND (t9."read" = $4::bool)) AS t10 WHERE (t10."value" = $5::int8))
  ORDER BY t8."id" ASC NULLS LAST
) AS t11) AS f2;
