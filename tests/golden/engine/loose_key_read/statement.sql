-- $1: organization as int4 (plain)
SELECT (SELECT coalesce(json_agg(row_to_json(t7)), '[]'::json) FROM (
  SELECT t0."id" AS "id", (SELECT row_to_json(t6) FROM (
    SELECT t1."id" AS "id", (SELECT row_to_json(t5) FROM (
      SELECT t2."name" AS "name", (SELECT coalesce(json_agg(row_to_json(t4)), '[]'::json) FROM (
        SELECT t3."id" AS "id"
        FROM (SELECT * FROM "public"."authors" WHERE "organization_id" = $1::int4) AS t3
        WHERE t3."country_id" = t2."code"
      ) AS t4) AS "authors"
      FROM "public"."countries" AS t2
      WHERE t2."code" = t1."country_id"
    ) AS t5) AS "country"
    FROM (SELECT * FROM "public"."authors" WHERE "organization_id" = $1::int4) AS t1
    WHERE t1."id" = t0."author_id"
  ) AS t6) AS "author"
  FROM (SELECT * FROM "public"."books" WHERE "organization_id" = $1::int4) AS t0
  ORDER BY t0."id" ASC NULLS LAST
) AS t7) AS f0,
(SELECT coalesce(json_agg(row_to_json(t16)), '[]'::json) FROM (
  SELECT t8."id" AS "id", (SELECT coalesce(json_agg(row_to_json(t10)), '[]'::json) FROM (
    SELECT t9."id" AS "id"
    FROM (SELECT * FROM "public"."books" WHERE "organization_id" = $1::int4) AS t9
    WHERE t9."author_id" = t8."id"
  ) AS t10) AS "books", (SELECT (SELECT row_to_json(t15) FROM (SELECT (SELECT row_to_json(t14) FROM (SELECT t13.v0 AS "count") AS t14) AS "aggregate") AS t15) FROM (
    SELECT count(*) AS v0
    FROM (
      SELECT 
      FROM (SELECT * FROM "public"."books" WHERE "organization_id" = $1::int4) AS t11
      WHERE t11."author_id" = t8."id"
    ) AS t12
  ) AS t13) AS "books_aggregate"
  FROM (SELECT * FROM "public"."authors" WHERE "organization_id" = $1::int4) AS t8
  ORDER BY t8."id" ASC NULLS LAST
) AS t16) AS f1;
