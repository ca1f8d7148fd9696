-- $1: x-hasura-user-id as int4 (session variable)
SELECT (SELECT coalesce(json_agg(row_to_json(t2)), '[]'::json) FROM (
  SELECT t0."id" AS "id"
  FROM (SELECT t1.* FROM "public"."comments" AS t1 WHERE (t1."user_id" = $1::int4)) AS t0
) AS t2) AS f0;
