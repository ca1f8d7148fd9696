-- $1: x-hasura-user-id as int4 (session variable)
-- $2: false as bool
-- $3: 0 as int4
WITH written AS (
  DELETE FROM "public"."posts" AS t0
  WHERE ((t0."user_id" = $1::int4) AND (t0."published" = $2::bool)) AND (t0."id" > $3::int4)
  RETURNING t0.*
)
SELECT (SELECT row_to_json(t2) FROM (SELECT (SELECT count(*) FROM written) AS "affected_rows") AS t2);
