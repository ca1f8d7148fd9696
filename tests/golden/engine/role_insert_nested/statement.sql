-- $1: 9 as int4
-- $2: "x" as text
-- $3: x-hasura-user-id as int4 (session variable)
-- $4: "" as text
WITH written AS (
  INSERT INTO "public"."posts" AS t0 ("id", "title", "user_id")
  VALUES ($1::int4, $2::text, $3::int4)
  RETURNING t0.*, coalesce((t0."title" <> $4::text), FALSE) AS "check of a permission"
)
SELECT (SELECT coalesce(json_agg(row_to_json(written)), '[]'::json) FROM written), (SELECT NOT bool_and("check of a permission") FROM written);

-- $1: "n" as text
-- $2: 9 as int4
-- $3: StepValue step: 0, column: id as int4
-- $4: x-hasura-user-id as int4 (session variable)
-- $5: true as bool
WITH written AS (
  INSERT INTO "public"."comments" AS t0 ("body", "id", "post_id", "user_id")
  VALUES ($1::text, $2::int4, $3::int4, $4::int4)
  RETURNING t0.*, coalesce(EXISTS (SELECT FROM "public"."posts" AS t1 WHERE t1."id" = t0."post_id" AND ((t1."published" = $5::bool) OR (t1."user_id" = $4::int4))), FALSE) AS "check of a permission"
)
SELECT (SELECT coalesce(json_agg(row_to_json(written)), '[]'::json) FROM written), (SELECT NOT bool_and("check of a permission") FROM written);

-- $1: StepRows steps: (0) as json (plain)
-- $2: x-hasura-user-id as int4 (session variable)
WITH written AS (
  SELECT * FROM json_populate_recordset(NULL::"public"."posts", $1::json)
)
SELECT (SELECT row_to_json(t4) FROM (
  SELECT t0."id" AS "id", t0."user_id" AS "user_id", (SELECT coalesce(json_agg(row_to_json(t3)), '[]'::json) FROM (
    SELECT t1."body" AS "body", t1."user_id" AS "user_id"
    FROM (SELECT t2.* FROM "public"."comments" AS t2 WHERE (t2."user_id" = $2::int4)) AS t1
    WHERE t1."post_id" = t0."id"
  ) AS t3) AS "comments"
  FROM written AS t0 LIMIT 1
) AS t4);
