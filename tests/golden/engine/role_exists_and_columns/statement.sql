-- $1: x-hasura-user-id as int4 (session variable)
SELECT (SELECT coalesce(json_agg(row_to_json(t3)), '[]'::json) FROM (
  SELECT t0."id" AS "id"
  FROM (SELECT t1.* FROM "public"."posts" AS t1 WHERE (t1."price" >= t1."least_price") AND EXISTS (SELECT FROM "public"."comments" AS t2 WHERE ((t2."post_id" = t1."id") AND (t2."user_id" = $1::int4)))) AS t0
  ORDER BY t0."id" ASC NULLS LAST
) AS t3) AS f0;
