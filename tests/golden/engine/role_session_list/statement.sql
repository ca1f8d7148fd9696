-- $1: x-hasura-ids as int4[] (session variable)
SELECT (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t0."id" AS "id"
  FROM (SELECT t1.* FROM "public"."posts" AS t1 WHERE (t1."id" = ANY ($1::int4[]))) AS t0
  ORDER BY t0."id" ASC NULLS LAST
) AS t2) AS f0;
