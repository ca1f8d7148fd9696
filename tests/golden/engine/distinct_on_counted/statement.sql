-- $1: organization as int4 (plain)
SELECT (SELECT (SELECT row_to_json(t4) FROM (SELECT (SELECT row_to_json(t3) FROM (SELECT t2.v0 AS "count") AS t3) AS "aggregate") AS t4) FROM (
  SELECT count(*) AS v0
  FROM (
    SELECT DISTINCT ON (t0."status") NULL
    FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $1::int4) AS t0
  ) AS t1
) AS t2) AS f0;
