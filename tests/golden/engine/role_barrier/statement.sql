-- $1: 0 as int4
-- $2: "a\\" as text
SELECT (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t0."id" AS "id"
  FROM (SELECT t1.* FROM "public"."posts" AS t1 WHERE (t1."id" < $1::int4) OFFSET 0) AS t0
  WHERE (t0."title" LIKE (SELECT $2::text)::text)
) AS t2) AS f0;
