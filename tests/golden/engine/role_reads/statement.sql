-- $1: x-hasura-user-id as int4 (session variable)
-- $2: true as bool
-- $3: $n as int4 (limit)
SELECT (SELECT coalesce(json_agg(row_to_json(t12)), '[]'::json) FROM (
  SELECT t0."id" AS "id", (SELECT row_to_json(t3) FROM (
    SELECT t1."name" AS "name"
    FROM (SELECT t2.* FROM "public"."users" AS t2 WHERE (t2."id" = $1::int4)) AS t1
    WHERE t1."id" = t0."user_id"
  ) AS t3) AS "user", (SELECT coalesce(json_agg(row_to_json(t6)), '[]'::json) FROM (
    SELECT t4."body" AS "body"
    FROM (SELECT t5.* FROM "public"."comments" AS t5 WHERE (t5."user_id" = $1::int4)) AS t4
    WHERE t4."post_id" = t0."id"
  ) AS t6) AS "comments"
  FROM (SELECT t7.* FROM "public"."posts" AS t7 WHERE ((t7."user_id" = $1::int4) OR (t7."published" = $2::bool))) AS t0
  WHERE EXISTS (SELECT FROM (SELECT t9.* FROM "public"."comments" AS t9 WHERE (t9."user_id" = $1::int4)) AS t8 WHERE t8."post_id" = t0."id" AND (t8."body" IS NOT NULL))
  ORDER BY (SELECT t10."name" FROM (SELECT t11.* FROM "public"."users" AS t11 WHERE (t11."id" = $1::int4)) AS t10 WHERE t10."id" = t0."user_id") ASC NULLS LAST, t0."id" ASC NULLS LAST
  LIMIT least($3::int4, 2)
) AS t12) AS f0;
