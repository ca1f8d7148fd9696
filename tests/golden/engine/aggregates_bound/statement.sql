-- $1: organization as int4 (plain)
-- $2: "lost" as text
SELECT (SELECT (SELECT row_to_json(t13) FROM (SELECT (SELECT row_to_json(t6) FROM (SELECT t2.v0 AS "count", t2.v1 AS "withTotal", t2.v2 AS "statuses", (SELECT row_to_json(t3) FROM (SELECT t2.v3 AS "total") AS t3) AS "sum", (SELECT row_to_json(t4) FROM (SELECT t2.v4 AS "total") AS t4) AS "avg", (SELECT row_to_json(t5) FROM (SELECT t2.v5 AS "orderId", t2.v6 AS "total") AS t5) AS "max", 'app_1_orders_aggregate_fields'::text AS "__typename") AS t6) AS "aggregate", t2.v7 AS "nodes") AS t13) FROM (
  SELECT count(*) AS v0, count(t1.c0) AS v1, count(DISTINCT t1.c1) AS v2, sum(t1.c0) AS v3, avg(t1.c0) AS v4, max(t1.c2) AS v5, max(t1.c0) AS v6, coalesce(json_agg(t1.c3 ORDER BY t1.n), '[]'::json) AS v7
  FROM (
    SELECT t14.*, row_number() OVER () AS n
    FROM (
      SELECT t0."total" AS "c0", t0."status" AS "c1", t0."orderId" AS "c2", (SELECT row_to_json(t12) FROM (SELECT t0."id" AS "id", (SELECT (SELECT row_to_json(t11) FROM (SELECT (SELECT row_to_json(t10) FROM (SELECT t9.v0 AS "count") AS t10) AS "aggregate") AS t11) FROM (
        SELECT count(*) AS v0
        FROM (
          SELECT 
          FROM (SELECT * FROM "public"."app_1_messages" WHERE "organization_id" = $1::int4) AS t7
          WHERE t7."order_id" = t0."id" AND t7."organization_id" = t0."organization_id"
        ) AS t8
      ) AS t9) AS "messages_aggregate") AS t12) AS "c3"
      FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t0
      WHERE (t0."status" <> $2::text)
    ) AS t14
  ) AS t1
) AS t2) AS f0;
