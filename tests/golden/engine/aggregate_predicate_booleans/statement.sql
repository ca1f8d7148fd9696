-- $1: true as bool
-- $2: "s" as text
-- $3: 1 as int8
SELECT (SELECT coalesce(json_agg(row_to_json(t3)), '[]'::json) FROM (
  SELECT t0."id" AS "id"
  FROM "public"."orders" AS t0
  WHERE EXISTS (SELECT FROM (SELECT bool_and(t1."ready") AS value FROM "public"."parts" AS t1 WHERE t1."order_id" = t0."id") AS t2 WHERE (t2."value" = $1::bool))
) AS t3) AS f0,
(SELECT coalesce(json_agg(row_to_json(t7)), '[]'::json) FROM (
  SELECT t4."id" AS "id"
  FROM "public"."orders" AS t4
  WHERE EXISTS (SELECT FROM (SELECT bool_or(t5."ready") AS value FROM "public"."parts" AS t5 WHERE t5."order_id" = t4."id") AS t6 WHERE (t6."value" IS NULL))
  ORDER BY t4."id" ASC NULLS LAST
) AS t7) AS f1,
(SELECT coalesce(json_agg(row_to_json(t11)), '[]'::json) FROM (
  SELECT t8."id" AS "id"
  FROM "public"."orders" AS t8
  WHERE EXISTS (SELECT FROM (SELECT bool_or(t9."ready") AS value FROM "public"."parts" AS t9 WHERE t9."order_id" = t8."id" AND (t9."size" = $2::text)) AS t10 WHERE (t10."value" = $1::bool))
) AS t11) AS f2,
(SELECT coalesce(json_agg(row_to_json(t15)), '[]'::json) FROM (
  SELECT t12."id" AS "id"
  FROM "public"."orders" AS t12
  WHERE EXISTS (SELECT FROM (SELECT count(DISTINCT t13."size") AS value FROM "public"."parts" AS t13 WHERE t13."order_id" = t12."id") AS t14 WHERE (t14."value" = $3::int8))
  ORDER BY t12."id" ASC NULLS LAST
) AS t15) AS f3;
