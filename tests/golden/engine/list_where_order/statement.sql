-- $1: $status as text
-- $2: 5 as numeric
-- $3: $limit as int4 (limit)
SELECT (SELECT coalesce(json_agg(row_to_json(t1)), '[]'::json) FROM (
  SELECT t0."id" AS "id", t0."orderId" AS "orderId", t0."total" AS "price", 'app_1_orders'::text AS "__typename"
  FROM "public"."app_1_orders" AS t0
  WHERE (t0."status" = $1::text) AND (t0."total" > $2::numeric)
  ORDER BY t0."total" DESC NULLS LAST, t0."id" ASC NULLS LAST
  LIMIT $3::int4
  OFFSET 0
) AS t1) AS f0;
