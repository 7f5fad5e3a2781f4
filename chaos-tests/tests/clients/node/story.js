// The story of a client, told with `influx` of npm: story.js HOST:PORT[,HOST:PORT…]
//
// Each step goes to the next server. Prints what the client library made of the answers, so that the output for one server
// can be held against that for another. NODE_PATH names the directory the library is installed in.
'use strict';

const Influx = require('influx');

const DATABASE = 'story_node';
const servers = process.argv[2].split(',').map((address) => {
  const [host, port] = address.split(':');
  return new Influx.InfluxDB({ host, port: Number(port), database: DATABASE });
});
let steps = 0;
const c = () => servers[steps++ % servers.length];

function show(step, value) {
  console.log(`${step}: ${JSON.stringify(value)}`);
}

async function refused(step, call) {
  try {
    await call();
    show(step, 'not refused');
  } catch (error) {
    const status = error.res ? error.res.statusCode : null;
    show(step, [error.constructor.name, status, error.message]);
  }
}

// Rows with their times in full: the library's dates print milliseconds only.
function rows(result) {
  return result.map((row) =>
    Object.fromEntries(Object.entries(row).map(([key, value]) =>
      [key, key === 'time' && value && value.getNanoTime ? value.getNanoTime() : value])));
}

async function story() {
  const hosts = await c().ping(10000);
  show('ping', hosts.map((host) => [host.online, host.version !== '']));
  await c().dropDatabase(DATABASE);
  const points = [
    { measurement: 'weather', tags: { city: 'Zürich', 'odd tag': 'a,b=c d' }, timestamp: '1577836800000000000',
      fields: { temperature: -1.5, wet: true, note: 'says "hi" and, more' } },
    { measurement: 'weather', tags: { city: 'Bern' }, timestamp: '1577836800123456789',
      fields: { temperature: 1e21, wet: false, note: '' } },
    { measurement: 'weather', tags: { city: 'Bern' }, timestamp: '1577836860000000000', fields: { temperature: 0.1 } },
  ];
  await refused('write without a database', () => c().writePoints(points));
  await c().createDatabase(DATABASE);
  show('listed', (await c().getDatabaseNames()).includes(DATABASE));
  await c().createRetentionPolicy('week', { database: DATABASE, duration: '7d', replication: 1, isDefault: false });
  await c().alterRetentionPolicy('week', { database: DATABASE, duration: '8d', replication: 1, isDefault: false });
  show('policies', await c().showRetentionPolicies(DATABASE));
  await c().writePoints(points);
  await c().writePoints([{ measurement: 'weather', tags: { city: 'Chur' }, timestamp: 1577836920, fields: { temperature: 3 } }],
    { precision: 's' });
  for (const query of [
    'select * from weather',
    'select * from weather group by city',
    "select mean(temperature), count(note) from weather where time >= '2020-01-01T00:00:00Z' and time < '2020-01-01T00:04:00Z' group by time(1m), city",
    `select temperature from weather where city = ${Influx.escape.stringLit('Zürich')}`,
    'select * from nothing_here',
    'show field keys',
  ]) {
    show(query, rows(await c().query(query)));
    show(`${query}, raw`, await c().queryRaw(query, { precision: 'ms' }));
  }
  show('groups', (await c().query('select temperature from weather group by city')).groups().map((group) => [group.name, group.tags, rows(group.rows)]));
  const several = await c().query(['select count(temperature) from weather', 'show measurements', 'show tag values with key = city']);
  show('several statements', several.map(rows));
  const bound = await c().query('select temperature from weather where city = $city', { placeholders: { city: 'Chur' } });
  show('bind parameters', rows(bound));
  show('measurements', await c().getMeasurements());
  show('series', await c().getSeries());
  await refused('syntax error', () => c().query('selec 1'));
  await refused('error in a statement', () => c().query('select temperature from weather group by time(1m)'));
  await refused('unknown database', () => c().query('select * from m', { database: 'nowhere' }));
  await refused('type conflict', () => c().writePoints([{ measurement: 'weather', fields: { temperature: 'x' }, timestamp: '1577836800000000000' }]));
  await c().dropSeries({ measurement: (m) => m.name('weather'), where: (e) => e.tag('city').equals.value('Chur') });
  show('after a drop of series', rows(await c().query('select count(temperature) from weather group by city')));
  await c().writeMeasurement('short', [{ fields: { v: 1 } }]);
  show('measurements', await c().getMeasurements());
  await c().dropMeasurement('short');
  show('measurements left', await c().getMeasurements());
  await c().dropRetentionPolicy('week', DATABASE);
  show('policies left', await c().showRetentionPolicies(DATABASE));
  await c().dropDatabase(DATABASE);
  show('dropped', (await c().getDatabaseNames()).includes(DATABASE));
}

story().catch((error) => {
  console.error(error);
  process.exit(1);
});
