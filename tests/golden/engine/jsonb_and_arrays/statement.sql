-- $1: "$.colour" as text[] (json path)
-- $2: "size.w" as text[] (json path)
-- $3: organization as int4 (plain)
-- $4: $part as jsonb
-- $5: $keys as text[]
-- $6: "size" as text
-- $7: {colour: red, size: {w: 2}, more: 1} as jsonb
-- $8: "%BLUE%" as text
-- $9: ["x"] as text[]
SELECT (SELECT coalesce(json_agg(row_to_json(t1)), '[]'::json) FROM (
  SELECT t0."id" AS "id", t0."details" #> $1::text[] AS "colour", t0."details" #> $2::text[] AS "w"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $3::int4) AS t0
  WHERE (t0."details" @> $4::jsonb)
  ORDER BY t0."id" ASC NULLS LAST
) AS t1) AS f0,
(SELECT coalesce(json_agg(row_to_json(t3)), '[]'::json) FROM (
  SELECT t2."id" AS "id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $3::int4) AS t2
  WHERE (t2."details" ?| $5::text[])
  ORDER BY t2."id" ASC NULLS LAST
) AS t3) AS f1,
(SELECT coalesce(json_agg(row_to_json(t5)), '[]'::json) FROM (
  SELECT t4."id" AS "id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $3::int4) AS t4
  WHERE (t4."details" ? $6::text) AND (t4."details" <@ $7::jsonb)
) AS t5) AS f2,
(SELECT coalesce(json_agg(row_to_json(t7)), '[]'::json) FROM (
  SELECT t6."id" AS "id"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $3::int4 OFFSET 0) AS t6
  WHERE (t6."details"::text ILIKE (SELECT $8::text)::text)
) AS t7) AS f3,
(SELECT coalesce(json_agg(row_to_json(t9)), '[]'::json) FROM (
  SELECT t8."id" AS "id", t8."tags" AS "tags"
  FROM (SELECT * FROM "public"."app_1_orders" WHERE "organization_id" = $3::int4 OFFSET 0) AS t8
  WHERE (t8."tags" @> (SELECT $9::text::text[])::text[])
  ORDER BY t8."id" ASC NULLS LAST
) AS t9) AS f4;
