-- $1: organization as int4 (plain)
SELECT (SELECT coalesce(json_agg(row_to_json(t18)), '[]'::json) FROM (
  SELECT t0."id" AS "id", (SELECT row_to_json(t14) FROM (
    SELECT t1."id" AS "id", (SELECT row_to_json(t13) FROM (
      SELECT t2."id" AS "id", (SELECT row_to_json(t12) FROM (
        SELECT t3."id" AS "id", (SELECT coalesce(json_agg(row_to_json(t11)), '[]'::json) FROM (
          SELECT t4."id" AS "id", (SELECT coalesce(json_agg(row_to_json(t10)), '[]'::json) FROM (
            SELECT t5."id" AS "id", (SELECT coalesce(json_agg(row_to_json(t9)), '[]'::json) FROM (
              SELECT t6."id" AS "id"
              FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t6
              WHERE t6."parent_id" = t5."id" AND t6."organization_id" = t5."organization_id"
              ORDER BY (SELECT (SELECT t8."id" FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t8 WHERE t8."id" = t7."parent_id" AND t8."organization_id" = t7."organization_id") FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t7 WHERE t7."id" = t6."parent_id" AND t7."organization_id" = t6."organization_id") DESC NULLS FIRST
            ) AS t9) AS "nodes"
            FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t5
            WHERE t5."parent_id" = t4."id" AND t5."organization_id" = t4."organization_id"
          ) AS t10) AS "nodes"
          FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t4
          WHERE t4."parent_id" = t3."id" AND t4."organization_id" = t3."organization_id"
        ) AS t11) AS "nodes"
        FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t3
        WHERE t3."id" = t2."parent_id" AND t3."organization_id" = t2."organization_id"
      ) AS t12) AS "parent"
      FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t2
      WHERE t2."id" = t1."parent_id" AND t2."organization_id" = t1."organization_id"
    ) AS t13) AS "parent"
    FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t1
    WHERE t1."id" = t0."parent_id" AND t1."organization_id" = t0."organization_id"
  ) AS t14) AS "parent"
  FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t0
  WHERE EXISTS (SELECT FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t15 WHERE t15."id" = t0."parent_id" AND t15."organization_id" = t0."organization_id" AND EXISTS (SELECT FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t16 WHERE t16."id" = t15."parent_id" AND t16."organization_id" = t15."organization_id" AND EXISTS (SELECT FROM (SELECT * FROM "public"."nodes" WHERE "organization_id" = $1::int4) AS t17 WHERE t17."id" = t16."parent_id" AND t17."organization_id" = t16."organization_id")))
) AS t18) AS f0;
