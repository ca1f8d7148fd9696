-- $1: 20 as numeric
-- $2: [] as numeric[]
SELECT (SELECT coalesce(json_agg(row_to_json(t1)), '[]'::json) FROM (
  SELECT t0."id" AS "id"
  FROM "public"."app_1_orders" AS t0
  ORDER BY t0."id" ASC NULLS LAST
) AS t1) AS f0,
(SELECT coalesce(json_agg(row_to_json(t3)), '[]'::json) FROM (
  SELECT t2."id" AS "id"
  FROM "public"."app_1_orders" AS t2
  ORDER BY t2."id" ASC NULLS LAST
) AS t3) AS f1,
(SELECT coalesce(json_agg(row_to_json(t5)), '[]'::json) FROM (
  SELECT t4."id" AS "id"
  FROM "public"."app_1_orders" AS t4
  ORDER BY t4."id" ASC NULLS LAST
) AS t5) AS f2,
(SELECT coalesce(json_agg(row_to_json(t7)), '[]'::json) FROM (
  SELECT t6."id" AS "id"
  FROM "public"."app_1_orders" AS t6
  ORDER BY t6."id" ASC NULLS LAST
) AS t7) AS f3,
(SELECT coalesce(json_agg(row_to_json(t9)), '[]'::json) FROM (
  SELECT t8."id" AS "id"
  FROM "public"."app_1_orders" AS t8
  ORDER BY t8."id" ASC NULLS LAST
) AS t9) AS f4,
(SELECT coalesce(json_agg(row_to_json(t11)), '[]'::json) FROM (
  SELECT t10."id" AS "id"
  FROM "public"."app_1_orders" AS t10
  WHERE FALSE
) AS t11) AS f5,
(SELECT coalesce(json_agg(row_to_json(t13)), '[]'::json) FROM (
  SELECT t12."id" AS "id"
  FROM "public"."app_1_orders" AS t12
  WHERE (NOT TRUE)
) AS t13) AS f6,
(SELECT coalesce(json_agg(row_to_json(t15)), '[]'::json) FROM (
  SELECT t14."id" AS "id"
  FROM "public"."app_1_orders" AS t14
  WHERE FALSE
  ORDER BY t14."id" ASC NULLS LAST
) AS t15) AS f7,
(SELECT coalesce(json_agg(row_to_json(t18)), '[]'::json) FROM (
  SELECT t16."id" AS "id"
  FROM "public"."app_1_orders" AS t16
  WHERE EXISTS (SELECT FROM "public"."app_1_customers" AS t17 WHERE t17."id" = t16."customer_id" AND t17."organization_id" = t16."organization_id")
  ORDER BY t16."id" ASC NULLS LAST
) AS t18) AS f8,
(SELECT coalesce(json_agg(row_to_json(t20)), '[]'::json) FROM (
  SELECT t19."id" AS "id"
  FROM "public"."app_1_orders" AS t19
  WHERE (t19."total" <> $1::numeric)
  ORDER BY t19."id" ASC NULLS LAST
) AS t20) AS f9,
(SELECT coalesce(json_agg(row_to_json(t22)), '[]'::json) FROM (
  SELECT t21."id" AS "id"
  FROM "public"."app_1_orders" AS t21
  WHERE (t21."total" <> ALL ($2::numeric[]))
  ORDER BY t21."id" ASC NULLS LAST
) AS t22) AS f10;
