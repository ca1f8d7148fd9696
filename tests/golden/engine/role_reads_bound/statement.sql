-- $1: organization as int4 (plain)
-- $2: x-hasura-user-id as text (session variable)
SELECT (SELECT coalesce(json_agg(row_to_json(t6)), '[]'::json) FROM (
  SELECT t0."id" AS "id", (SELECT coalesce(json_agg(row_to_json(t4)), '[]'::json) FROM (
    SELECT t1."note" AS "note"
    FROM (SELECT t2.* FROM (SELECT * FROM "public"."app_1_lines" WHERE "organization_id" = $1::int4) AS t2 WHERE EXISTS (SELECT FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t3 WHERE t3."id" = t2."order_id" AND (t3."owner" = $2::text))) AS t1
    WHERE t1."order_id" = t0."id"
  ) AS t4) AS "lines"
  FROM (SELECT t5.* FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t5 WHERE (t5."owner" = $2::text)) AS t0
  ORDER BY t0."id" ASC NULLS LAST
) AS t6) AS f0;
