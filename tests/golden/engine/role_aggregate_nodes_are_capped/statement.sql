-- $1: x-hasura-user-id as int4 (session variable)
-- $2: true as bool
SELECT (SELECT (SELECT row_to_json(t6) FROM (SELECT (SELECT row_to_json(t4) FROM (SELECT t2.v0 AS "count", (SELECT row_to_json(t3) FROM (SELECT t2.v1 AS "id") AS t3) AS "sum") AS t4) AS "aggregate", t2.v2 AS "nodes") AS t6) FROM (
  SELECT count(*) AS v0, sum(t1.c0) AS v1, coalesce(array_to_json((array_agg(t1.c1))[1:2]), '[]'::json) AS v2
  FROM (
    SELECT t0."id" AS "c0", (SELECT row_to_json(t5) FROM (SELECT t0."id" AS "id") AS t5) AS "c1"
    FROM (SELECT t7.* FROM "public"."posts" AS t7 WHERE ((t7."user_id" = $1::int4) OR (t7."published" = $2::bool))) AS t0
    ORDER BY t0."id" ASC NULLS LAST
  ) AS t1
) AS t2) AS f0;
