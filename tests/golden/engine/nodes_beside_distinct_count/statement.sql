SELECT (SELECT (SELECT row_to_json(t5) FROM (SELECT (SELECT row_to_json(t3) FROM (SELECT t2.v0 AS "count") AS t3) AS "aggregate", t2.v1 AS "nodes") AS t5) FROM (
  SELECT count(DISTINCT t1.c0) AS v0, coalesce(json_agg(t1.c1 ORDER BY t1.n), '[]'::json) AS v1
  FROM (
    SELECT t6.*, row_number() OVER () AS n
    FROM (
      SELECT t0."body" AS "c0", (SELECT row_to_json(t4) FROM (SELECT t0."id" AS "id", t0."body" AS "body") AS t4) AS "c1"
      FROM "public"."notes" AS t0
      ORDER BY t0."id" ASC NULLS LAST
      LIMIT 3
    ) AS t6
  ) AS t1
) AS t2) AS f0;
