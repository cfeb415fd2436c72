// A real Trino on files of this machine: reads statements, one JSON object a line, from the first argument's file, and writes one
// answer a line to the second's. {"ddl": "…"} is run; {"sql": "…"} is run and answered with columns, types, rows, and how many
// table scans its plan has; {"error": "…"} where it failed. The third argument is the folder of the file metastore.

import com.fasterxml.jackson.databind.ObjectMapper;
import io.trino.Session;
import io.trino.plugin.hive.HivePlugin;
import io.trino.sql.planner.plan.TableScanNode;
import io.trino.sql.planner.optimizations.PlanNodeSearcher;
import io.trino.testing.MaterializedResult;
import io.trino.testing.StandaloneQueryRunner;
import io.trino.testing.TestingSession;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

public final class Ask
{
    public static void main(String[] args)
            throws Exception
    {
        Session session = TestingSession.testSessionBuilder().setCatalog("hive").setSchema("net").build();
        ObjectMapper json = new ObjectMapper();
        try (StandaloneQueryRunner trino = new StandaloneQueryRunner(session); var out = Files.newBufferedWriter(Path.of(args[1]))) {
            trino.installPlugin(new HivePlugin());
            trino.createCatalog("hive", "hive", Map.of(
                    "hive.metastore", "file",
                    "hive.metastore.catalog.dir", "local:///metastore",
                    "fs.native-local.enabled", "true",
                    "local.location", args[2],
                    "hive.non-managed-table-writes-enabled", "true",
                    "hive.partition-projection-enabled", "true",
                    "hive.table-statistics-enabled", "false",
                    "hive.recursive-directories", "true",
                    "hive.security", "allow-all"));
            for (String line : Files.readAllLines(Path.of(args[0]))) {
                out.write(json.writeValueAsString(answer(trino, session, json.readTree(line).properties().iterator().next().getValue().asText(), line.startsWith("{\"sql\""))));
                out.newLine();
            }
        }
        System.exit(0);
    }

    private static Map<String, Object> answer(StandaloneQueryRunner trino, Session session, String sql, boolean query)
    {
        Map<String, Object> answer = new LinkedHashMap<>();
        try {
            if (!query) {
                trino.execute(session, sql);
                return answer;
            }
            var planned = trino.executeWithPlan(session, sql);
            MaterializedResult result = planned.result();
            answer.put("columns", result.getColumnNames());
            answer.put("types", result.getTypes().stream().map(Object::toString).toList());
            List<List<Object>> rows = new ArrayList<>();
            result.getMaterializedRows().forEach(row -> rows.add(row.getFields().stream().map(Ask::plain).toList()));
            answer.put("rows", rows);
            answer.put("scans", planned.queryPlan().map(plan -> PlanNodeSearcher.searchFrom(plan.getRoot()).whereIsInstanceOfAny(TableScanNode.class).count()).orElse(-1));
            answer.put("bytes", result.getStatementStats().map(stats -> stats.getPhysicalInputBytes()).orElse(-1L));
        }
        catch (RuntimeException problem) {
            answer.put("error", String.valueOf(problem.getMessage()));
        }
        return answer;
    }

    private static Object plain(Object value)
    {
        return value == null || value instanceof Number || value instanceof Boolean ? value : value.toString();
    }
}
