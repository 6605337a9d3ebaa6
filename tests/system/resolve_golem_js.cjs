// What golem-js sends to providers: resolve_golem_js.cjs CONFIG, the JSON of an image's or a manifest's options; GOLEM_REGISTRY_URL says where.
// Prints the demand's properties as JSON.
const { createRequire } = require("node:module");
const { WorkloadDemandDirector } = createRequire(process.cwd() + "/")("@golem-sdk/golem-js");

const properties = {};
const builder = {
  addProperty(name, value) { properties[name] = value; return builder; },
  addConstraint() { return builder; },
};
const limits = { engine: "vm", runtime: { name: "vm" }, expirationSec: 60, minMemGib: 1, minStorageGib: 1, minCpuThreads: 1, capabilities: [] };
new WorkloadDemandDirector({ ...limits, ...JSON.parse(process.argv[2]) })
  .apply(builder)
  .then(() => console.log(JSON.stringify(properties)))
  .catch((error) => { console.error(error); process.exit(1); });
