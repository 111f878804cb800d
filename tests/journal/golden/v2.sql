PRAGMA user_version = 2;
PRAGMA application_id = 1413566533;
BEGIN TRANSACTION;
CREATE TABLE attempt (
	run_no INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	what VARCHAR NOT NULL, 
	number INTEGER NOT NULL, 
	"by" VARCHAR NOT NULL, 
	worker_no INTEGER, 
	epoch INTEGER NOT NULL, 
	started_us INTEGER NOT NULL, 
	ended_us INTEGER, 
	how VARCHAR NOT NULL, 
	evidence VARCHAR NOT NULL, 
	PRIMARY KEY (run_no, "key", what, number)
)
 WITHOUT ROWID;
INSERT INTO "attempt" VALUES(1,'r-6ewzat00eydh/-/0/tool','body',1,'agent',1,1,1800000000000000,1800000000000000,'signal 9','');
INSERT INTO "attempt" VALUES(1,'r-6ewzat00eydh/-/0/tool','look-up',1,'reactor',NULL,2,1800000000000000,1800000000000000,'absent','');
INSERT INTO "attempt" VALUES(1,'r-6ewzat00eydh/-/0/tool','look-up',2,'reactor',NULL,2,1800000002000000,1800000002000000,'unclear','');
INSERT INTO "attempt" VALUES(1,'r-6ewzat00eydh/-/0/tool','look-up',3,'reactor',NULL,2,1800000002200000,1800000002200000,'present','');
INSERT INTO "attempt" VALUES(2,'r-6ewzay38ar3n/-/0/tool','body',1,'agent',4,1,1800000004200000,1800000004200000,'returned','');
INSERT INTO "attempt" VALUES(2,'r-6ewzay38ar3n/-/0/tool/undo/1','undo',1,'undoer',NULL,1,1800000004200000,1800000004200000,'returned','');
INSERT INTO "attempt" VALUES(2,'r-6ewzay38ar3n/-/1/tool','body',1,'agent',4,1,1800000004200000,1800000004200000,'returned','');
INSERT INTO "attempt" VALUES(2,'r-6ewzay38ar3n/-/1/tool/undo/1','undo',1,'undoer',NULL,1,1800000004200000,1800000004200000,'returned','');
INSERT INTO "attempt" VALUES(2,'r-6ewzay38ar3n/-/2/tool','body',1,'agent',4,1,1800000004200000,1800000004200000,'rejected','{"type":"Rejected","message":"no"}');
INSERT INTO "attempt" VALUES(3,'r-6ewzay388myq/-/0/tool','body',1,'agent',5,1,1800000004200000,1800000004200000,'signal 9','');
INSERT INTO "attempt" VALUES(3,'r-6ewzay388myq/-/0/tool','look-up',1,'reactor',NULL,2,1800000004200000,1800000004200000,'duplicate','');
INSERT INTO "attempt" VALUES(3,'r-6ewzay388myq/-/0/tool/undo/2','undo',1,'undoer',NULL,3,1800000004200000,1800000004200000,'raised','{"type":"Boom","message":"it broke"}');
INSERT INTO "attempt" VALUES(4,'r-6ewzay38ng7a/-/0/tool','body',1,'agent',7,1,1800000004200000,1800000004200000,'signal 9','');
INSERT INTO "attempt" VALUES(5,'r-6ewzay38kd2c/-/0/tool','body',1,'agent',8,1,1800000004200000,1800000004200000,'signal 9','');
INSERT INTO "attempt" VALUES(5,'r-6ewzay38kd2c/-/0/tool','look-up',1,'reactor',NULL,2,1800000004200000,1800000004200000,'duplicate','');
INSERT INTO "attempt" VALUES(6,'r-6ewzay38h9xe/-/0/tool','body',1,'reactor',NULL,1,1800000004200000,1800000004200000,'died','');
INSERT INTO "attempt" VALUES(6,'r-6ewzay38h9xe/-/0/tool','body',2,'reactor',NULL,1,1800000004200000,NULL,'','');
INSERT INTO "attempt" VALUES(7,'r-6ewzay38f6rg/-/0/tool','body',1,'agent',10,1,1800000004200000,1800000004200000,'signal 9','');
INSERT INTO "attempt" VALUES(10,'r-6ewzay38b0em/-/0/tool','body',1,'agent',11,1,1800000004200000,NULL,'','');
CREATE TABLE blob (
	hash VARCHAR NOT NULL, 
	body VARCHAR NOT NULL, 
	PRIMARY KEY (hash)
)
 WITHOUT ROWID;
CREATE TABLE budget (
	run_no INTEGER NOT NULL, 
	unit VARCHAR NOT NULL, 
	cap INTEGER, 
	reserved INTEGER NOT NULL, 
	spent INTEGER NOT NULL, 
	lost INTEGER NOT NULL, 
	PRIMARY KEY (run_no, unit)
)
 WITHOUT ROWID;
INSERT INTO "budget" VALUES(1,'tokens',NULL,0,210,0);
INSERT INTO "budget" VALUES(1,'usd_micro',NULL,0,2000,0);
INSERT INTO "budget" VALUES(2,'tokens',NULL,0,0,0);
INSERT INTO "budget" VALUES(2,'usd_micro',NULL,0,0,0);
INSERT INTO "budget" VALUES(3,'tokens',NULL,0,0,0);
INSERT INTO "budget" VALUES(3,'usd_micro',NULL,0,0,0);
INSERT INTO "budget" VALUES(4,'tokens',NULL,0,0,0);
INSERT INTO "budget" VALUES(4,'usd_micro',NULL,0,0,0);
INSERT INTO "budget" VALUES(5,'tokens',NULL,0,0,0);
INSERT INTO "budget" VALUES(5,'usd_micro',NULL,0,0,0);
INSERT INTO "budget" VALUES(6,'tokens',NULL,0,0,0);
INSERT INTO "budget" VALUES(6,'usd_micro',NULL,0,0,0);
INSERT INTO "budget" VALUES(7,'tokens',NULL,0,0,0);
INSERT INTO "budget" VALUES(7,'usd_micro',NULL,0,0,0);
INSERT INTO "budget" VALUES(8,'tokens',NULL,0,0,0);
INSERT INTO "budget" VALUES(8,'usd_micro',NULL,0,0,0);
INSERT INTO "budget" VALUES(9,'tokens',NULL,0,0,0);
INSERT INTO "budget" VALUES(9,'usd_micro',NULL,0,0,0);
INSERT INTO "budget" VALUES(10,'tokens',NULL,0,0,0);
INSERT INTO "budget" VALUES(10,'usd_micro',NULL,0,0,0);
CREATE TABLE "conflict" (
	no INTEGER NOT NULL, 
	run_no INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	why VARCHAR NOT NULL, 
	evidence VARCHAR NOT NULL, 
	opened_us INTEGER NOT NULL, 
	closed_us INTEGER, 
	PRIMARY KEY (no)
);
INSERT INTO "conflict" VALUES(1,5,'r-6ewzay38kd2c/-/0/tool','the upstream holds a surplus act that cannot be undone','{"id":2}',1800000004200000,NULL);
CREATE TABLE effect (
	semantics VARCHAR NOT NULL, 
	look_up INTEGER NOT NULL, 
	authoritative INTEGER NOT NULL, 
	settle_us INTEGER NOT NULL, 
	on_unknown VARCHAR NOT NULL, 
	key_lifetime_us INTEGER, 
	attempts INTEGER NOT NULL, 
	first_us INTEGER NOT NULL, 
	body_over INTEGER NOT NULL, 
	quiet_boot_us INTEGER NOT NULL, 
	asked_boot_us INTEGER NOT NULL, 
	answer VARCHAR NOT NULL, 
	asks INTEGER NOT NULL, 
	step VARCHAR NOT NULL, 
	next_boot_us INTEGER NOT NULL, 
	claim_epoch INTEGER NOT NULL, 
	claim_by VARCHAR NOT NULL, 
	claim_until_boot_us INTEGER NOT NULL, 
	hook_crashes INTEGER NOT NULL, 
	run_no INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	tool VARCHAR NOT NULL, 
	decision_index INTEGER NOT NULL, 
	ordinal INTEGER NOT NULL, 
	args_hash VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	dispatch VARCHAR NOT NULL, 
	compensable INTEGER NOT NULL, 
	business_key VARCHAR, 
	retries INTEGER NOT NULL, 
	clean INTEGER NOT NULL, 
	live_failures INTEGER NOT NULL, 
	resolution VARCHAR NOT NULL, 
	writer VARCHAR NOT NULL, 
	begun_id INTEGER NOT NULL, 
	ended_id INTEGER, 
	awaited INTEGER NOT NULL, 
	inherited INTEGER NOT NULL, 
	cost_micro INTEGER, 
	PRIMARY KEY (run_no, "key"), 
	CONSTRAINT status_known CHECK (status IN ('PENDING', 'UNKNOWN', 'CONFIRMED', 'FAILED')), 
	CONSTRAINT dispatch_known CHECK (dispatch IN ('inline', 'outbox')), 
	CONSTRAINT semantics_known CHECK (semantics IN ('read_only', 'idempotent', 'non_idempotent')), 
	CONSTRAINT on_unknown_known CHECK (on_unknown IN ('ask', 'compensate')), 
	CONSTRAINT answer_known CHECK (answer IN ('none', 'present', 'absent', 'duplicate', 'unclear')), 
	CONSTRAINT step_known CHECK (step IN ('', 'again', 'ask', 'ask_later', 'confirm', 'confirm_first', 'compensate', 'person'))
)
 WITHOUT ROWID;
INSERT INTO "effect" VALUES('non_idempotent',1,1,2000000,'ask',NULL,1,1800000000000000,1,1000000000,1002200000,'unclear',1,'',1002200000,3,'',0,1,1,'r-6ewzat00eydh/-/0/tool','tool',-1,0,'fdef1c56ba73e4e51606f3d5ebcff1a6','CONFIRMED','inline',0,NULL,0,0,0,'observed','reconciler',10,27,1,0,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',1,NULL,0,1,0,'returned','agent',49,50,1,0,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/1/tool','tool',-1,1,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',1,NULL,0,1,0,'returned','agent',51,52,1,0,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/2/tool','tool',-1,2,'74234e98afe7498fb5daf1f36ac2d78a','FAILED','inline',1,NULL,0,1,0,'rejected','agent',53,54,1,0,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,1004200000,1004200000,'none',0,'',0,1,'',0,1,3,'r-6ewzay388myq/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',1,NULL,0,0,0,'observed','reconciler',74,83,1,0,NULL);
INSERT INTO "effect" VALUES('non_idempotent',0,0,0,'ask',NULL,1,1800000004200000,1,1004200000,0,'none',0,'person',0,0,'',0,0,4,'r-6ewzay38ng7a/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','UNKNOWN','inline',0,NULL,0,0,0,'','',102,NULL,1,0,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,1004200000,1004200000,'none',0,'',0,1,'',0,1,5,'r-6ewzay38kd2c/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',0,NULL,0,0,0,'observed','reconciler',112,121,1,0,NULL);
INSERT INTO "effect" VALUES('idempotent',0,0,0,'ask',NULL,2,1800000004200000,0,1004200000,0,'none',0,'again',0,2,'reactor',1034200000,2,6,'r-6ewzay38h9xe/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','PENDING','outbox',0,NULL,0,0,0,'','',128,NULL,1,0,NULL);
INSERT INTO "effect" VALUES('non_idempotent',0,0,0,'compensate',NULL,1,1800000004200000,1,1004200000,0,'none',0,'compensate',0,0,'',0,0,7,'r-6ewzay38f6rg/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','UNKNOWN','inline',1,NULL,0,0,0,'','',141,NULL,1,0,NULL);
INSERT INTO "effect" VALUES('idempotent',0,0,0,'ask',60000000,1,1800000004200000,0,0,0,'none',0,'',0,0,'',0,0,10,'r-6ewzay38b0em/-/0/tool','tool',-1,0,'ab96af5d33847cb4246bc071f1514639','PENDING','inline',0,NULL,1,1,0,'','',156,NULL,1,0,NULL);
CREATE TABLE entry (
	id INTEGER NOT NULL, 
	run_no INTEGER, 
	seq INTEGER, 
	kind VARCHAR NOT NULL, 
	epoch INTEGER NOT NULL, 
	at_us INTEGER NOT NULL, 
	body VARCHAR NOT NULL, 
	hash BLOB NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "entry" VALUES(1,NULL,NULL,'server_started',0,1800000000000000,'{"pid":1,"host":"here","boot_id":"boot-manual","release":"0.1.0","sqlite":"3.40.1"}',X'B17EA9369B185F1EF34C6939FA0F24A4D4CC1EFF4BBE00A854C8EBC26DFA4A8B');
INSERT INTO "entry" VALUES(2,1,1,'run_started',0,1800000000000000,'{"agent":"agent","input":{"task":"pay é😀","n":1,"ratio":1.0},"start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'5314AAC0BF44AC8667D3D2A6CC7E1DA4B404049E3E63DA4CFD7440C18792E316');
INSERT INTO "entry" VALUES(3,NULL,NULL,'worker_started',0,1800000000000000,'{"worker":1,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000002","host":"here"}',X'B61A651F6EC2C7FAFBFDB433CCAEC8387F1CC438DD32FEFED3EF3497EA61D240');
INSERT INTO "entry" VALUES(4,NULL,NULL,'worker_moved',0,1800000000000000,'{"worker":1,"pid":100,"status":"READY"}',X'08A0F36B2D4AB2A5BE11AFE888165215B4605325E159A1466F58071F912F2584');
INSERT INTO "entry" VALUES(5,1,NULL,'lease_granted',1,1800000000000000,'{"worker":1,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'7A39BF01BC38154CF18F6013477BF80A681B4E397AA38E71A516F675680B910D');
INSERT INTO "entry" VALUES(6,1,NULL,'order_placed',1,1800000000000000,'{"order":1,"verb":"kill","args":{"at":"effect.acted"},"actor":"me","reason":"drill"}',X'D6C29ED6B079A9CC25179344A559397608FFAD6FFC3A660D85B6B926F254F495');
INSERT INTO "entry" VALUES(7,1,NULL,'model_asked',1,1800000000000000,'{"index":0,"name":"ask","asks":1,"reserved":null}',X'ECCDBBBCB8979CC39F911B6B78A59565C9684A7E3B8620F2904D8ED68A9436F8');
INSERT INTO "entry" VALUES(8,1,2,'decision',1,1800000000000000,'{"index":0,"name":"ask","fingerprint":"f","request":{"i":0},"reply":0,"error":null,"code":"","tools":""}',X'CA8EFDF117E47ECD97D812D505DF5AC3382B737E66F174FBAF389B7ED26C8988');
INSERT INTO "entry" VALUES(9,1,3,'charge',1,1800000000000000,'{"pays_for":"decision 0","tokens_in":150,"tokens_out":60,"usd_micro":2000}',X'DBD6414CBE07471E8ED9968F96A5B942D59A54ADC9D1675AC048A0FE62BC8AE9');
INSERT INTO "entry" VALUES(10,1,4,'effect_begun',1,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":{"to":"ACME","amount_minor":12500},"args_hash":"fdef1c56ba73e4e51606f3d5ebcff1a6","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":false,"business_key":null,"awaited":true,"approval":null,"quarantined":false}',X'DDFA366407940B42F5DBBE4BD32FEB50924780A711A7C77B6417486643D97BF2');
INSERT INTO "entry" VALUES(11,1,NULL,'point_reached',1,1800000000000000,'{"point":"effect.acted","death":"KILL","worker":1,"pid":100,"order":1}',X'339FB6A3BB9E9042AD39BEA97C5832193EE4B2EBA695032E3928BF8AED148E2D');
INSERT INTO "entry" VALUES(12,NULL,NULL,'worker_died',0,1800000000000000,'{"worker":1,"pid":100,"how":"signal 9","proven":true}',X'1686C395898D2A0C0973C71136B5F7FB75E3812906ECDC935B62EBF591F8FAA2');
INSERT INTO "entry" VALUES(13,1,NULL,'lease_ended',1,1800000000000000,'{"worker":1,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'FE5A7234230DD9BC376CE3F0057E4562DB1F408F7FCFF7C526CA4BAAD20FEAD9');
INSERT INTO "entry" VALUES(14,1,NULL,'attempt_ended',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'68F0DFCD4F7AC53A1F593E004CFC92D346BA361AF78BBFB5012E8EBA4F44A334');
INSERT INTO "entry" VALUES(15,1,NULL,'effect_doubted',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","status":"UNKNOWN","row":"N-ask-look-up","step":"ask","why":"signal 9"}',X'135BD34357302D390D6B44EAC765D2F9E0AB706318D06139C686759D64058CED');
INSERT INTO "entry" VALUES(16,1,NULL,'run_moved',2,1800000000000000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'D3BF38A6E8361BE15FA321E4D76790CB365E458365BAFE3C198E311CEE972A96');
INSERT INTO "entry" VALUES(17,1,NULL,'write_refused',2,1800000000000000,'{"worker":1,"epoch":1,"live_epoch":2,"write":"effect_ended","why":"fenced","evidence":{"late":true}}',X'A80998F94AFAF7F506ECF5A9444A259E9AACDD707AABD809EC6C685F908F1F2C');
INSERT INTO "entry" VALUES(18,1,NULL,'claimed',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","by":"reactor","claim_epoch":1}',X'569CFE801B169455D0D773426A4E0205B3545EDF68A75BC4B9177488DA4A0F8F');
INSERT INTO "entry" VALUES(19,1,NULL,'attempt_started',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"look-up","number":1,"by":"reactor","worker":null}',X'2E8B3827E11E5A92C15ED672E51E46353597533C6166C313ABF2A10277332A65');
INSERT INTO "entry" VALUES(20,1,NULL,'observed',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","number":1,"answer":"absent","row":"N-settling","step":"ask_later","detail":null}',X'DF5B2303291051315B98536DBA2BACA557A90A2296D59E4DDAB25ABEB9977C5D');
INSERT INTO "entry" VALUES(21,1,NULL,'claimed',2,1800000002000000,'{"key":"r-6ewzat00eydh/-/0/tool","by":"reactor","claim_epoch":2}',X'E2B22E1B1DDEFF7D50431D5924B50B3BF3030BC4975F625F184E62C66A2C03AA');
INSERT INTO "entry" VALUES(22,1,NULL,'attempt_started',2,1800000002000000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"look-up","number":2,"by":"reactor","worker":null}',X'F7A0F109381945E69C238EDF7E13C297CE0B012A548F3CFD67A4E636E9024F6E');
INSERT INTO "entry" VALUES(23,1,NULL,'observed',2,1800000002000000,'{"key":"r-6ewzat00eydh/-/0/tool","number":2,"answer":"unclear","row":"N-unclear","step":"ask_later","detail":null}',X'A7387AE953048254A29D5F887CE929504A5D709EF5E9EDDF8B5B7B39EA3DF917');
INSERT INTO "entry" VALUES(24,1,NULL,'claimed',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","by":"reactor","claim_epoch":3}',X'480FEC08B94314CC220DB048EC04E019213A1193B93A1EB3AE2CBAA133D3D5BE');
INSERT INTO "entry" VALUES(25,1,NULL,'attempt_started',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"look-up","number":3,"by":"reactor","worker":null}',X'3A2E1C60188F3093C77114A60BA0FA67BCFDB3A3300F75B51F57ADE5344C713D');
INSERT INTO "entry" VALUES(26,1,NULL,'observed',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","number":3,"answer":"present","row":"N-present","step":"confirm","detail":{"acts":[{"wire_id":"w-1"}]}}',X'90540DA423F2EC82B6C042E06BD5A802F203CE160862063C6D40C92E24F8CB6C');
INSERT INTO "entry" VALUES(27,1,5,'effect_ended',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"observed","writer":"reconciler","row":"N-present","attempt":1,"result":{"wire_id":"w-1"},"error":null,"result_error":null}',X'E32E7ED6B75AE0BA9C52528BCCBE5D9FA8D7EAF23163B1CE6C9197AF9391C2B3');
INSERT INTO "entry" VALUES(28,1,NULL,'run_moved',2,1800000002200000,'{"status":"RUNNABLE","was":"WAITING","why":"r-6ewzat00eydh/-/0/tool is settled: N-present","commands":[]}',X'A289C8FBFB3F29E02DF18128B5375EDA002A0DC1FAF6C10D12A145AA9A5F3235');
INSERT INTO "entry" VALUES(29,NULL,NULL,'worker_started',0,1800000002200000,'{"worker":2,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000003","host":"here"}',X'216725A6DC9EF9709DC118AD85A29CDC8418D8311D33F637987088576FAD3A75');
INSERT INTO "entry" VALUES(30,NULL,NULL,'worker_moved',0,1800000002200000,'{"worker":2,"pid":100,"status":"READY"}',X'BF4685F445427DE55150BD2C478167CA01AB29232AE17E8B413ACFFCD50EFD95');
INSERT INTO "entry" VALUES(31,1,NULL,'lease_granted',3,1800000002200000,'{"worker":2,"pid":100,"epoch":3,"drive":2,"decision_index":1,"next_seq":6,"crashes":0,"alone":false}',X'B96259D677BD447C373AB684764BDFD9A4A1AD8A180BF6455858AC06725CD029');
INSERT INTO "entry" VALUES(32,1,NULL,'attached',3,1800000002200000,'{"decision_index":1,"next_seq":6,"drive":2,"replayed":["r-6ewzat00eydh/-/0/tool"]}',X'1267DC77BBE421A03FA9983E9F3247F592ED55910F495B42B54318CA3ADCF622');
INSERT INTO "entry" VALUES(33,1,6,'sample',3,1800000002200000,'{"index":0,"name":"now","fingerprint":"f","value":1,"error":null}',X'4746FC93B8EDE5DF2C9EDE91999D443FDB7D06CBBAF9E038DEFDF51E2BC92F0A');
INSERT INTO "entry" VALUES(34,1,7,'timer_set',3,1800000002200000,'{"ordinal":0,"seconds":1.0,"fire_at_us":1800000003200000,"fingerprint":"f"}',X'FE94F39756A768CB170258351436458BD136A90CB0864733C069D9E0B860048B');
INSERT INTO "entry" VALUES(35,1,NULL,'lease_ended',3,1800000002200000,'{"worker":2,"pid":100,"epoch":3,"status":"RELEASED","why":"sleeps"}',X'E269BCAEAD791B7F91622AE680718DE687526DE22B56471B7E09DEDA2C661818');
INSERT INTO "entry" VALUES(36,1,NULL,'run_moved',3,1800000002200000,'{"status":"WAITING","was":"RUNNING","why":"sleeps","commands":[]}',X'9FAA99438C17071A3AD58C650B195618406FD50B0919784BE1767361610C2B54');
INSERT INTO "entry" VALUES(37,1,8,'timer_fired',3,1800000004200000,'{"ordinal":0,"late_us":1000000}',X'BD8EA4E3E5D1EF0F83D2C8E973856153F9A23CF410767FA09304B5F3787F4926');
INSERT INTO "entry" VALUES(38,1,NULL,'run_moved',3,1800000004200000,'{"status":"RUNNABLE","was":"WAITING","why":"timer 0 fired","commands":[]}',X'717BA76B72FAE84CC3FFF1960F9EC278D4CC83BE597B8029FD5469D0FEB12068');
INSERT INTO "entry" VALUES(39,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":3,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000004","host":"here"}',X'3CF8EBDE3C4F39E31A2DBE49AAE7D939EDD374522234A69E02768B0D92906CFD');
INSERT INTO "entry" VALUES(40,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":3,"pid":100,"status":"READY"}',X'B2D092FC088A80508E5F447085D7D72C47AD9EAB45C3C7DB4618D30C214307CD');
INSERT INTO "entry" VALUES(41,1,NULL,'lease_granted',4,1800000004200000,'{"worker":3,"pid":100,"epoch":4,"drive":3,"decision_index":1,"next_seq":9,"crashes":0,"alone":false}',X'BB7A53A8B1ECA5CDDCEBC8A39A88A13C336638EE3D827CB7A60A076D57BBB20B');
INSERT INTO "entry" VALUES(42,1,NULL,'lease_ended',4,1800000004200000,'{"worker":3,"pid":100,"epoch":4,"status":"RELEASED","why":"the run ended"}',X'4F56EE2FB694931EABA8C3FF372AFCD2A947757129130CD234838FC36B9EBDB6');
INSERT INTO "entry" VALUES(43,1,9,'run_ended',4,1800000004200000,'{"outcome":"TERMINAL","result":{"paid":true},"error":null,"writer":"agent"}',X'40B9A052AF2E4D83A735D65C1CE587AEC06B4540E98EF581100FA8F34318A05E');
INSERT INTO "entry" VALUES(44,1,NULL,'run_moved',4,1800000004200000,'{"status":"TERMINAL","was":"RUNNING","why":"","commands":[]}',X'5EC8509D4CAAEB08F522199E375BB48417806E2282C70E874752CB94F7E870C0');
INSERT INTO "entry" VALUES(45,2,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(46,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":4,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000006","host":"here"}',X'D394696BA85C33FFBA12CCB413C18F729AE6BF2BEEC985B087DC0163A4F52041');
INSERT INTO "entry" VALUES(47,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":4,"pid":100,"status":"READY"}',X'5FFBAFD17A80BB439AC585593C0B00C25BCF1CEE32BBD346B60385C8AF82502E');
INSERT INTO "entry" VALUES(48,2,NULL,'lease_granted',1,1800000004200000,'{"worker":4,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'E70CB1342E4E6FF322E1A1315BAF7272B7B79485F1724151F45B6D8B315B3C6B');
INSERT INTO "entry" VALUES(49,2,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null,"awaited":true,"approval":null,"quarantined":false}',X'FD5820085FBA4FFC41570220126B1872EBF32D9588AB6772DA742EEF45577098');
INSERT INTO "entry" VALUES(50,2,3,'effect_ended',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"returned","writer":"agent","row":"","attempt":1,"result":{"ok":1},"error":null,"result_error":null}',X'E75A258AA4213B346F37BBC77C8DCD2465DD0A3975734D0B74AC06A8BD4D0506');
INSERT INTO "entry" VALUES(51,2,4,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool","decision_index":null,"ordinal":1,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null,"awaited":true,"approval":null,"quarantined":false}',X'7EE1AB3DC41C08ECB57B9BAE59730C9D83A3AB2A150C5AC1037E2B423035263C');
INSERT INTO "entry" VALUES(52,2,5,'effect_ended',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool","tool":"tool","status":"CONFIRMED","resolution":"returned","writer":"agent","row":"","attempt":1,"result":{"ok":1},"error":null,"result_error":null}',X'96C57B04A5934AA11D54607C6545F7A5F2F17EDCBBF7DBCB46160514C4D44305');
INSERT INTO "entry" VALUES(53,2,6,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/2/tool","decision_index":null,"ordinal":2,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null,"awaited":true,"approval":null,"quarantined":false}',X'AC1551FFE5F509AA39B944E90BAA0DA67029463BCCBF02D3CD2EC5D1AEE312F1');
INSERT INTO "entry" VALUES(54,2,7,'effect_ended',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/2/tool","tool":"tool","status":"FAILED","resolution":"rejected","writer":"agent","row":"","attempt":1,"result":null,"error":{"type":"Rejected","message":"no"},"result_error":null}',X'9BABB1A37FDE6D71397D9CF35FC55CC408D0E28690986E8F691955F01449DB92');
INSERT INTO "entry" VALUES(55,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/2/tool/undo/1","status":"DROPPED","was":"ARMED","why":"the act is certainly not in effect"}',X'A20FABB610B2514F50109DBD7A829BE3B9B2ED76F91CFEB3BE4242FBBFF2DCC2');
INSERT INTO "entry" VALUES(56,2,NULL,'lease_ended',1,1800000004200000,'{"worker":4,"pid":100,"epoch":1,"status":"RELEASED","why":"the run ended"}',X'F99A6D2DDF9EA194F3B621A35C85DAC2EEF42B2B6DDFE3F834CCA74DB1EADCFB');
INSERT INTO "entry" VALUES(57,2,8,'run_ended',1,1800000004200000,'{"outcome":"FAILED","result":null,"error":{"type":"Boom","message":"no money"},"writer":"agent"}',X'83D521702672A280F1F6CFC958C4B50A2390E2F80069F2285CB003C9E175556F');
INSERT INTO "entry" VALUES(58,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","status":"DUE","was":"ARMED","why":"the run ended FAILED"}',X'FFDB6DD2DFD7C6A4151D1127CE066419D8FFC65851744EE32B82BF5244CED81A');
INSERT INTO "entry" VALUES(59,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","status":"DUE","was":"ARMED","why":"the run ended FAILED"}',X'A9E2640FEAEE9D2AB1E84B7564854C892F063A910787AE63F127FE2AE44638FF');
INSERT INTO "entry" VALUES(60,2,NULL,'run_moved',1,1800000004200000,'{"status":"COMPENSATING","was":"RUNNING","why":"2 acts to undo first","commands":[]}',X'11A10B2F2BAC7385E7F953DDB8BB1257756CBFAB5041E4CA674E0B9DE39BA1B0');
INSERT INTO "entry" VALUES(61,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","status":"CLAIMED","was":"DUE","why":"undo 1"}',X'E09ECF2A3577C37BCB11A0945B0C8C71FC3BF9A693C889A76F561C15875CA2F9');
INSERT INTO "entry" VALUES(62,2,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","by":"undoer","claim_epoch":1}',X'E2996359DF5A5D88053437F356496A652AAAB8DBDE1166B0B25F504DE6A15AAF');
INSERT INTO "entry" VALUES(63,2,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","what":"undo","number":1,"by":"undoer","worker":null}',X'60B8A64C28C54C2716D8D17A9D61CDC783E0A91775647689415A4138F0A6C5AA');
INSERT INTO "entry" VALUES(64,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","status":"DONE","was":"CLAIMED","why":"undone"}',X'DE0DE9962583018DD2E211124BC1F8215069D6F516A08891EEC01ED62D198EA6');
INSERT INTO "entry" VALUES(65,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","status":"CLAIMED","was":"DUE","why":"undo 1"}',X'F250C7700CAAE13B8BB5835CC3AD3D7FBB3BF12471AAEFD260A2CAAA7277612E');
INSERT INTO "entry" VALUES(66,2,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","by":"undoer","claim_epoch":1}',X'236A3DF42443DF53C2315DB2EE1F40DF5B82E6E63A31E42BBAA4F002B1491E98');
INSERT INTO "entry" VALUES(67,2,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","what":"undo","number":1,"by":"undoer","worker":null}',X'F3DA6316E66829DFA4A721BD3021E826660151972BA15A615DEB668A1CEC4192');
INSERT INTO "entry" VALUES(68,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","status":"DONE","was":"CLAIMED","why":"undone"}',X'95339DAFB299DCA31DEBB1716D029D6C3EFAD14F11C7B6E653142BD441511102');
INSERT INTO "entry" VALUES(69,2,NULL,'run_moved',1,1800000004200000,'{"status":"FAILED","was":"COMPENSATING","why":"everything owed is undone","commands":[]}',X'BBF1C271510FFE62B2332CFA30AB9F7FAB27CC559B932A611331F935A10BE381');
INSERT INTO "entry" VALUES(70,3,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(71,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":5,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000008","host":"here"}',X'4F5164980A52EE24713555DD637C7AF2EF67AD835853D892DFDC8A24875EC852');
INSERT INTO "entry" VALUES(72,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":5,"pid":100,"status":"READY"}',X'369E3E20FE1CAE08B8D966D9295C9D12C8BA8DBD49B0CAF67BEDCF13DFE83D00');
INSERT INTO "entry" VALUES(73,3,NULL,'lease_granted',1,1800000004200000,'{"worker":5,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'44BB4892EB30459746868BEF9799F363D4916979FECB2778BC9E8B7BB98A552B');
INSERT INTO "entry" VALUES(74,3,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null,"awaited":true,"approval":null,"quarantined":false}',X'0054495E95C66238BECAF53715FF6CA9B1E737B3B44FFF16FD136ACF59755EEF');
INSERT INTO "entry" VALUES(75,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":5,"pid":100,"how":"signal 9","proven":true}',X'E74B4C4E48A0EE0F99DE1C39081BBD737A03589EC34C0F616AF55A3F1CC99BE9');
INSERT INTO "entry" VALUES(76,3,NULL,'lease_ended',1,1800000004200000,'{"worker":5,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'D20A67AB958EFBE10E8B1CC09DF5D5F97FF135A328ECC16166E6D78CE76CB59D');
INSERT INTO "entry" VALUES(77,3,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'0359CF3EDA785288889B226344EE31BFF9D5603585E70798B5FD0D81894593AE');
INSERT INTO "entry" VALUES(78,3,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","status":"UNKNOWN","row":"N-ask-look-up","step":"ask","why":"signal 9"}',X'E58B209BF1697DCE1E325470E2AE259648C25926572B065844C08CE05099870F');
INSERT INTO "entry" VALUES(79,3,NULL,'run_moved',2,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'D380655B514FAC81F3377CCF48856C2F241FCA392FF967515710C754E45B34D2');
INSERT INTO "entry" VALUES(80,3,NULL,'claimed',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","by":"reactor","claim_epoch":1}',X'5604E480D84DAE705C990EC69362E622D9850DABB4167425558EA93B83E59C30');
INSERT INTO "entry" VALUES(81,3,NULL,'attempt_started',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","what":"look-up","number":1,"by":"reactor","worker":null}',X'031497776F51F38DA62C32BE9800451B0A6FD33CCF27C60DF760663C84C3B628');
INSERT INTO "entry" VALUES(82,3,NULL,'observed',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","number":1,"answer":"duplicate","row":"X-duplicate","step":"confirm_first","detail":{"acts":[{"id":1},{"id":2}]}}',X'C8A1B669CFA8BC75B897783A1E722707571205820B7999FD51CD36CEAFC26527');
INSERT INTO "entry" VALUES(83,3,3,'effect_ended',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"observed","writer":"reconciler","row":"X-duplicate","attempt":1,"result":{"id":1},"error":null,"result_error":null}',X'DF5007AFC1C2E5BA197A3B58DC1A8AEF41F0497B644BE8F8C3303C7EF4A7E9E9');
INSERT INTO "entry" VALUES(84,3,NULL,'obligation_moved',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","status":"DUE","was":"ARMED","why":"a surplus act was found"}',X'921EE8E0C7D88AE16AE59F3046D21B0669B80DB28727685AA17038187F2C73D0');
INSERT INTO "entry" VALUES(85,3,NULL,'run_moved',2,1800000004200000,'{"status":"RUNNABLE","was":"WAITING","why":"r-6ewzay388myq/-/0/tool is settled: X-duplicate","commands":[]}',X'BBB1364155032374B9CC998DC9FBD62234B9329AE2CAA03D7CFE3C16835D86D8');
INSERT INTO "entry" VALUES(86,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":6,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000009","host":"here"}',X'F32056712738EAFE5F38053400FD17BF582F5F793A8A5C5382FEA65F93982B0E');
INSERT INTO "entry" VALUES(87,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":6,"pid":100,"status":"READY"}',X'90380C41625E59C62A73EBB0326230B45CA78AC795009301B4E861BDE8964FC4');
INSERT INTO "entry" VALUES(88,3,NULL,'lease_granted',3,1800000004200000,'{"worker":6,"pid":100,"epoch":3,"drive":2,"decision_index":0,"next_seq":4,"crashes":0,"alone":false}',X'CB4D69DA18D9BFC7FEB74B530FAB8464AD70C90113B04C600494F5A95F0E1F81');
INSERT INTO "entry" VALUES(89,3,NULL,'lease_ended',3,1800000004200000,'{"worker":6,"pid":100,"epoch":3,"status":"RELEASED","why":"the run ended"}',X'E0245E232ABF54A75FCDECBBB7E60EBBF3B5E6755E053D4FA116C3FBEBB9D61C');
INSERT INTO "entry" VALUES(90,3,4,'run_ended',3,1800000004200000,'{"outcome":"TERMINAL","result":null,"error":null,"writer":"agent"}',X'633C03B5F015ACBFB7177301BA07403F121B3370CC6FD6CA7FBAF37BB3D6DEAF');
INSERT INTO "entry" VALUES(91,3,NULL,'obligation_moved',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/1","status":"DROPPED","was":"ARMED","why":"the run ended TERMINAL"}',X'31B5EAE0045BCC05069260D4F81D6C0F6FCD7DA1221B27DE55532B2198E2FDD2');
INSERT INTO "entry" VALUES(92,3,NULL,'run_moved',3,1800000004200000,'{"status":"COMPENSATING","was":"RUNNING","why":"1 act to undo first","commands":[]}',X'9504416C7B1ABEB0865074505D4CDA3A13D3BB97A8EBCA5B27B8A2FA4A2D5556');
INSERT INTO "entry" VALUES(93,3,NULL,'obligation_moved',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","status":"CLAIMED","was":"DUE","why":"undo 1"}',X'409A9F03A03D94255350084B1D6DCA744AB3457ADA786388F200C84F85C2CAA1');
INSERT INTO "entry" VALUES(94,3,NULL,'claimed',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","by":"undoer","claim_epoch":1}',X'DFFFAB08ECDCBC8FB4CBCC8974E87F3821DBE08E23A9F96915EDB0E74A88334F');
INSERT INTO "entry" VALUES(95,3,NULL,'attempt_started',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","what":"undo","number":1,"by":"undoer","worker":null}',X'524BAD7C224737752F0C88B8995E2A1CC3548C89E943FC3F157CDD3F9205BCE1');
INSERT INTO "entry" VALUES(96,3,NULL,'attempt_ended',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","what":"undo","number":1,"how":"raised","error":{"type":"Boom","message":"it broke"}}',X'100404E70D6B6E710F068E20A5BA908A8DCDC16907B7BD0A835ABE49614888D4');
INSERT INTO "entry" VALUES(97,3,NULL,'obligation_moved',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","status":"DUE","was":"CLAIMED","why":"raised"}',X'1E441AD17FE1AC5994E25858606FB4E93657E8922D9712E0F756042A2DEE97A5');
INSERT INTO "entry" VALUES(98,4,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(99,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":7,"pid":100,"start_ticks":7,"nonce":"0000000000000000000000000000000b","host":"here"}',X'4F5DC16A7F5DFDFB5E2810D558FAEB154D4500777AB2FF1A884088D8DB13962A');
INSERT INTO "entry" VALUES(100,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":7,"pid":100,"status":"READY"}',X'A32020B8DB7CAC64751943BA7D8B9CA0FD6B4C69266BB83616FC2C778368DC64');
INSERT INTO "entry" VALUES(101,4,NULL,'lease_granted',1,1800000004200000,'{"worker":7,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'51B73B7C78977053F58FC21ECF2DC1ED10B9D204D0F605B2BE2A4747103A906C');
INSERT INTO "entry" VALUES(102,4,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ng7a/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":false,"compensable":false,"business_key":null,"awaited":true,"approval":null,"quarantined":false}',X'EAA5CD93EF0F05B6AF0481F75125FB075CF9774C68D291A5EF4CB931734F3049');
INSERT INTO "entry" VALUES(103,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":7,"pid":100,"how":"signal 9","proven":true}',X'39230FA965E2028573000E3AB792F856A29D983840C391B328F650429BC097A3');
INSERT INTO "entry" VALUES(104,4,NULL,'lease_ended',1,1800000004200000,'{"worker":7,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'C49A94419AEA2A2C84CF9B62C25761E5DC35CCD0A6EDA8E249DC0AFC33BBBEFB');
INSERT INTO "entry" VALUES(105,4,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay38ng7a/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'187DCBD55BBC5DF1FDFE812F762EF457D22ED52841F0D69069CFCD576F9A0E1C');
INSERT INTO "entry" VALUES(106,4,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay38ng7a/-/0/tool","status":"UNKNOWN","row":"N-ask","step":"person","why":"signal 9"}',X'36FDFB45CE3D326FC6659DC6D92F98D6CA7154655C63268A3ECFFF6D85237FE6');
INSERT INTO "entry" VALUES(107,4,NULL,'run_moved',2,1800000004200000,'{"status":"STUCK","was":"RUNNING","why":"only a person can know whether r-6ewzay38ng7a/-/0/tool happened","commands":["tape resolve r-6ewzay38ng7a/-/0/tool --confirm JSON --reason TEXT","tape resolve r-6ewzay38ng7a/-/0/tool --fail --reason TEXT","tape resolve r-6ewzay38ng7a/-/0/tool --retry --reason TEXT"]}',X'665C3EB420769508CC77BC271B6FDEF4BFFE864E9163F5B8BF6259521725DAEF');
INSERT INTO "entry" VALUES(108,5,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(109,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":8,"pid":100,"start_ticks":7,"nonce":"0000000000000000000000000000000d","host":"here"}',X'4F63F8277EE29814C21F631BCFBA7B078A90ADA9AAEB3A20C88525270B3E3096');
INSERT INTO "entry" VALUES(110,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":8,"pid":100,"status":"READY"}',X'F8F4C9176A23554DDEEAF8C5F5BA22FF1386D90F9960E208867D7E226E360F0E');
INSERT INTO "entry" VALUES(111,5,NULL,'lease_granted',1,1800000004200000,'{"worker":8,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'E8F81ACFAE5A22995057B6EDE400475907DFB8E9DAD93B7C47FE6A100B0F8D3C');
INSERT INTO "entry" VALUES(112,5,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":false,"business_key":null,"awaited":true,"approval":null,"quarantined":false}',X'7F810AA0286E040D9AEDCBE1DB0C0D978F37BBA46F631D079445238710DAF811');
INSERT INTO "entry" VALUES(113,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":8,"pid":100,"how":"signal 9","proven":true}',X'7861579A374AB9A0991B9206D9E42F1C81C560C7436E0EE1CDB2C4C304B53AF6');
INSERT INTO "entry" VALUES(114,5,NULL,'lease_ended',1,1800000004200000,'{"worker":8,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'B693A7EE19A05A32D558CE9DDEB25F4D56608208C3F75A8F42FD5B02A78C6EC8');
INSERT INTO "entry" VALUES(115,5,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'341CE3186A665556AAD355961A4312E07C643C8A0E3B5067D1BE93B175AA0DB4');
INSERT INTO "entry" VALUES(116,5,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","status":"UNKNOWN","row":"N-ask-look-up","step":"ask","why":"signal 9"}',X'4F33500C1CC2CD907AB36F709AFE14808439B008AFAC7AAE10CD74093D488C63');
INSERT INTO "entry" VALUES(117,5,NULL,'run_moved',2,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'BF824830F604CAEB9D9CCC64ED8FF770CB97C37A432618EDB1E9DC46C09813D6');
INSERT INTO "entry" VALUES(118,5,NULL,'claimed',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","by":"reactor","claim_epoch":1}',X'EB25CBCD35084AA7667F35D926DB68DD5C6B2551ED71A4B6E5DC6B0E936BD7E6');
INSERT INTO "entry" VALUES(119,5,NULL,'attempt_started',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","what":"look-up","number":1,"by":"reactor","worker":null}',X'4C3774C5B9BF9C8462F8E19EC74EE57D446C255A4C9DB15ECD00C4F62EBBCA9C');
INSERT INTO "entry" VALUES(120,5,NULL,'observed',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","number":1,"answer":"duplicate","row":"X-duplicate","step":"confirm_first","detail":{"acts":[{"id":1},{"id":2}]}}',X'B202F1311C3E27A89CF0DC9C210E0FA2C192ED0351EB2E659BE8626ED746B386');
INSERT INTO "entry" VALUES(121,5,3,'effect_ended',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"observed","writer":"reconciler","row":"X-duplicate","attempt":1,"result":{"id":1},"error":null,"result_error":null}',X'903E2666559BD6E998A939A6F7D9002D1418A1427A3B694D27BE7E6FCE9220CF');
INSERT INTO "entry" VALUES(122,5,NULL,'conflict_opened',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","why":"the upstream holds a surplus act that cannot be undone","evidence":{"id":2}}',X'F7DBD892C346EF42C63CD7E21C62B9892C0C1F7F84649CBDA1957FE1BF198159');
INSERT INTO "entry" VALUES(123,5,NULL,'run_moved',2,1800000004200000,'{"status":"RUNNABLE","was":"WAITING","why":"r-6ewzay38kd2c/-/0/tool is settled: X-duplicate","commands":[]}',X'44934F24895FF21435F1341BF6825193B27154FA717538A7FC5EF25BF8AD54AA');
INSERT INTO "entry" VALUES(124,6,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(125,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":9,"pid":100,"start_ticks":7,"nonce":"0000000000000000000000000000000f","host":"here"}',X'CF137E522AD19111EE3A9C6BA4AEF7985AC182D409FF8D88B6EA07A479CC2159');
INSERT INTO "entry" VALUES(126,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":9,"pid":100,"status":"READY"}',X'A918E80669F4DE8D6501C1779CE78EF6731EBFC0590C7871694537B634CFDC51');
INSERT INTO "entry" VALUES(127,6,NULL,'lease_granted',1,1800000004200000,'{"worker":9,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'E5556E6491829A2D7AF4C84FF721A576198DBA690135767B83D7E3C97E841110');
INSERT INTO "entry" VALUES(128,6,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"idempotent","dispatch":"outbox","look_up":false,"compensable":false,"business_key":null,"awaited":true,"approval":null,"quarantined":false}',X'DB9925619E0B420B8A7D8228E6E22FE0A552289EE15B3D4B550F58A2B5F64431');
INSERT INTO "entry" VALUES(129,6,NULL,'lease_ended',1,1800000004200000,'{"worker":9,"pid":100,"epoch":1,"status":"RELEASED","why":"waits"}',X'3FF4BBC866C1B911D95E7A99DA4978EA87745468D83A00CC0079ACD6E995C08C');
INSERT INTO "entry" VALUES(130,6,NULL,'run_moved',1,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"waits","commands":[]}',X'1EC5D6850B0F24A055695662E1CD2550D34A8FDD0B0F5EF5EE4B4650970BE268');
INSERT INTO "entry" VALUES(131,6,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","by":"reactor","claim_epoch":1}',X'99307EAB817A274042004966973CD6DD6EBD2FD14B18304DD9EF4733EF21A12A');
INSERT INTO "entry" VALUES(132,6,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","what":"body","number":1,"by":"reactor","worker":null}',X'609A06852F7C3E355F09A1722F3CF77832F0E84A8367FF6735E86524764414A1');
INSERT INTO "entry" VALUES(133,6,NULL,'attempt_ended',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","what":"body","number":1,"how":"died","error":null}',X'A299FD1FE5155B1BB0D24E05FFBCF9FCC9E0FB1C1783F29B4E866D4C8567D6AF');
INSERT INTO "entry" VALUES(134,6,NULL,'effect_doubted',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","status":"PENDING","row":"I-again","step":"again","why":"died"}',X'227E3113109789D0D3B2829D53EF1A4C55F6CDA28A65BCD3FBA813E98BC6BE0B');
INSERT INTO "entry" VALUES(135,6,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","by":"reactor","claim_epoch":2}',X'9237B8FDEFE35E26EE430B8CA54ABB710E9B74EB87B2EF51DA8561007DE75E09');
INSERT INTO "entry" VALUES(136,6,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","what":"body","number":2,"by":"reactor","worker":null}',X'CD098D3336535D45B7D9E2D3321777F1AD0B5A232C5C6745F647796DA8DDFFD1');
INSERT INTO "entry" VALUES(137,7,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(138,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":10,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000011","host":"here"}',X'743199EDFF8845F56F806B5986FA089BC1687997F706683F4F1E3F786D4D4F73');
INSERT INTO "entry" VALUES(139,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":10,"pid":100,"status":"READY"}',X'02AC57AA00B4655855223A5B75850C728D38EBFBD9F96220DCC194BB0689D797');
INSERT INTO "entry" VALUES(140,7,NULL,'lease_granted',1,1800000004200000,'{"worker":10,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'FC6D9B00A1862638A9EF4323E860C8962B5681EE3B6CB1358B713CCA2F320608');
INSERT INTO "entry" VALUES(141,7,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":false,"compensable":true,"business_key":null,"awaited":true,"approval":null,"quarantined":false}',X'58B9F032A63E65CBBE6A58650ED189B93208ED11C3463E438D01264A670F1F38');
INSERT INTO "entry" VALUES(142,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":10,"pid":100,"how":"signal 9","proven":true}',X'BA9A54DE4F0C1998A2356496B3B884F9CE4D07810D84155A105802C701438F2F');
INSERT INTO "entry" VALUES(143,7,NULL,'lease_ended',1,1800000004200000,'{"worker":10,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'B304C12EF0D2E5870238F06753ACADA44E79F3FAC573A0C817313F827DD5B25F');
INSERT INTO "entry" VALUES(144,7,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'002CB86080D810099707732478DB17B525643185F14C2A051AFE52BDFA076790');
INSERT INTO "entry" VALUES(145,7,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool","status":"UNKNOWN","row":"N-undo","step":"compensate","why":"signal 9"}',X'34E035FDAE69FBBD7B227C904C35E807F6C79965236CC886A245784027E27C43');
INSERT INTO "entry" VALUES(146,7,NULL,'obligation_moved',2,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool/undo/1","status":"DUE","was":"ARMED","why":"nobody can be asked whether it happened"}',X'82E53D12044E598697A2AE87F12C5A45DE977F1ED9278B8BC8C60CEBD498CE44');
INSERT INTO "entry" VALUES(147,7,NULL,'run_moved',2,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'6EC45BA4129690FE7A34E61651024F57B8EB2787C062B0A747523EDADD7D4453');
INSERT INTO "entry" VALUES(148,8,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(149,8,2,'run_ended',0,1800000004200000,'{"outcome":"CANCELLED","result":null,"error":null,"writer":"operator"}',X'77CFABE51A74495533CCE3ECED3046BA4A0B326D71B49C099C712DD0224BA761');
INSERT INTO "entry" VALUES(150,8,NULL,'run_moved',0,1800000004200000,'{"status":"CANCELLED","was":"RUNNABLE","why":"","commands":[]}',X'0D17FE244E6C8D2A645F1DCD012337F3C27CA609550713A9874AD7CB9A313E70');
INSERT INTO "entry" VALUES(151,9,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"not begun","start_key":"monday","actor":"","parent":null,"source":null,"source_seq":0}',X'CBF431D84398AAA0E125117941626D5E6A05D9B386315271D218442D31E8C016');
INSERT INTO "entry" VALUES(152,10,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(153,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":11,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000015","host":"here"}',X'D54F2D2DC44E03D1A54E36E984B615781DEA5F3300F4570B0C3D74F3A7629618');
INSERT INTO "entry" VALUES(154,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":11,"pid":100,"status":"READY"}',X'9845EF942628620400B3C877BED23C34ED14C6E0D3716D5F05FB12D2A31EDF22');
INSERT INTO "entry" VALUES(155,10,NULL,'lease_granted',1,1800000004200000,'{"worker":11,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'946AFBF06178E5D4CD1465388CC71C5C4CE6A980DA7021C4A2064C5BD5BBC737');
INSERT INTO "entry" VALUES(156,10,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38b0em/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":{"live":null},"args_hash":"ab96af5d33847cb4246bc071f1514639","fingerprint":"f","semantics":"idempotent","dispatch":"inline","look_up":false,"compensable":false,"business_key":null,"awaited":true,"approval":null,"quarantined":false}',X'C9F1CBF1CF0AA54B3C31DB163A43E3170E4DEB2F18A32F1064249BD9E358E838');
CREATE TABLE gate (
	run_no INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	ordinal INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	prompt VARCHAR NOT NULL, 
	options VARCHAR NOT NULL, 
	approves VARCHAR NOT NULL, 
	answer VARCHAR, 
	actor VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	on_timeout VARCHAR, 
	opened_us INTEGER, 
	deadline_us INTEGER, 
	answered_us INTEGER, 
	used_by VARCHAR NOT NULL, 
	PRIMARY KEY (run_no, name, ordinal), 
	CONSTRAINT status_known CHECK (status IN ('EARLY', 'OPEN', 'ANSWERED', 'DROPPED'))
)
 WITHOUT ROWID;
CREATE TABLE lease (
	run_no INTEGER NOT NULL, 
	epoch INTEGER NOT NULL, 
	worker_no INTEGER NOT NULL, 
	drive INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	alone INTEGER NOT NULL, 
	first_seq INTEGER NOT NULL, 
	granted_us INTEGER NOT NULL, 
	ended_us INTEGER, 
	why VARCHAR NOT NULL, 
	PRIMARY KEY (run_no, epoch), 
	CONSTRAINT status_known CHECK (status IN ('LIVE', 'RELEASED', 'DIED', 'EXPIRED'))
)
 WITHOUT ROWID;
INSERT INTO "lease" VALUES(1,1,1,1,'DIED',0,2,1800000000000000,1800000000000000,'signal 9');
INSERT INTO "lease" VALUES(1,3,2,2,'RELEASED',0,6,1800000002200000,1800000002200000,'sleeps');
INSERT INTO "lease" VALUES(1,4,3,3,'RELEASED',0,9,1800000004200000,1800000004200000,'the run ended');
INSERT INTO "lease" VALUES(2,1,4,1,'RELEASED',0,2,1800000004200000,1800000004200000,'the run ended');
INSERT INTO "lease" VALUES(3,1,5,1,'DIED',0,2,1800000004200000,1800000004200000,'signal 9');
INSERT INTO "lease" VALUES(3,3,6,2,'RELEASED',0,4,1800000004200000,1800000004200000,'the run ended');
INSERT INTO "lease" VALUES(4,1,7,1,'DIED',0,2,1800000004200000,1800000004200000,'signal 9');
INSERT INTO "lease" VALUES(5,1,8,1,'DIED',0,2,1800000004200000,1800000004200000,'signal 9');
INSERT INTO "lease" VALUES(6,1,9,1,'RELEASED',0,2,1800000004200000,1800000004200000,'waits');
INSERT INTO "lease" VALUES(7,1,10,1,'DIED',0,2,1800000004200000,1800000004200000,'signal 9');
INSERT INTO "lease" VALUES(10,1,11,1,'LIVE',0,2,1800000004200000,NULL,'');
CREATE TABLE meta (
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE obligation (
	semantics VARCHAR NOT NULL, 
	look_up INTEGER NOT NULL, 
	authoritative INTEGER NOT NULL, 
	settle_us INTEGER NOT NULL, 
	on_unknown VARCHAR NOT NULL, 
	key_lifetime_us INTEGER, 
	attempts INTEGER NOT NULL, 
	first_us INTEGER NOT NULL, 
	body_over INTEGER NOT NULL, 
	quiet_boot_us INTEGER NOT NULL, 
	asked_boot_us INTEGER NOT NULL, 
	answer VARCHAR NOT NULL, 
	asks INTEGER NOT NULL, 
	step VARCHAR NOT NULL, 
	next_boot_us INTEGER NOT NULL, 
	claim_epoch INTEGER NOT NULL, 
	claim_by VARCHAR NOT NULL, 
	claim_until_boot_us INTEGER NOT NULL, 
	hook_crashes INTEGER NOT NULL, 
	run_no INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	effect_key VARCHAR NOT NULL, 
	position INTEGER NOT NULL, 
	auto INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	why VARCHAR NOT NULL, 
	act VARCHAR NOT NULL, 
	PRIMARY KEY (run_no, "key"), 
	CONSTRAINT status_known CHECK (status IN ('ARMED', 'DUE', 'CLAIMED', 'DONE', 'STUCK', 'DROPPED')), 
	CONSTRAINT semantics_known CHECK (semantics IN ('read_only', 'idempotent', 'non_idempotent')), 
	CONSTRAINT on_unknown_known CHECK (on_unknown IN ('ask', 'compensate')), 
	CONSTRAINT answer_known CHECK (answer IN ('none', 'present', 'absent', 'duplicate', 'unclear')), 
	CONSTRAINT step_known CHECK (step IN ('', 'again', 'ask', 'ask_later', 'confirm', 'confirm_first', 'compensate', 'person'))
)
 WITHOUT ROWID;
INSERT INTO "obligation" VALUES('idempotent',0,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,1,'',0,1,2,'r-6ewzay38ar3n/-/0/tool/undo/1','r-6ewzay38ar3n/-/0/tool',2,1,'DONE','undone','');
INSERT INTO "obligation" VALUES('idempotent',0,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,1,'',0,1,2,'r-6ewzay38ar3n/-/1/tool/undo/1','r-6ewzay38ar3n/-/1/tool',4,1,'DONE','undone','');
INSERT INTO "obligation" VALUES('idempotent',0,0,0,'ask',NULL,0,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/2/tool/undo/1','r-6ewzay38ar3n/-/2/tool',6,1,'DROPPED','the act is certainly not in effect','');
INSERT INTO "obligation" VALUES('non_idempotent',1,0,0,'ask',NULL,0,1800000004200000,1,0,0,'none',0,'again',0,0,'',0,0,3,'r-6ewzay388myq/-/0/tool/undo/1','r-6ewzay388myq/-/0/tool',2,1,'DROPPED','the run ended TERMINAL','');
INSERT INTO "obligation" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,1004200000,0,'none',0,'ask',1005200000,1,'',0,1,3,'r-6ewzay388myq/-/0/tool/undo/2','r-6ewzay388myq/-/0/tool',2,1,'DUE','raised','{"id":2}');
INSERT INTO "obligation" VALUES('idempotent',0,0,0,'ask',NULL,0,1800000004200000,1,0,0,'none',0,'again',0,0,'',0,0,7,'r-6ewzay38f6rg/-/0/tool/undo/1','r-6ewzay38f6rg/-/0/tool',2,1,'DUE','nobody can be asked whether it happened','');
CREATE TABLE "order" (
	no INTEGER NOT NULL, 
	run_no INTEGER, 
	verb VARCHAR NOT NULL, 
	args VARCHAR NOT NULL, 
	actor VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	placed_us INTEGER NOT NULL, 
	PRIMARY KEY (no)
);
INSERT INTO "order" VALUES(1,1,'kill','{"at":"effect.acted"}','me','drill',1800000000000000);
CREATE TABLE reservation (
	run_no INTEGER NOT NULL, 
	place VARCHAR NOT NULL, 
	unit VARCHAR NOT NULL, 
	amount INTEGER NOT NULL, 
	PRIMARY KEY (run_no, place, unit)
)
 WITHOUT ROWID;
CREATE TABLE run (
	no INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	agent VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	epoch INTEGER NOT NULL, 
	seq INTEGER NOT NULL, 
	decisions INTEGER NOT NULL, 
	effects INTEGER NOT NULL, 
	head BLOB NOT NULL, 
	drive INTEGER NOT NULL, 
	crashes INTEGER NOT NULL, 
	asks INTEGER NOT NULL, 
	worker_no INTEGER, 
	lease_until_boot_us INTEGER NOT NULL, 
	next_boot_us INTEGER NOT NULL, 
	waiting_on VARCHAR NOT NULL, 
	end_status VARCHAR, 
	error VARCHAR NOT NULL, 
	cancel INTEGER NOT NULL, 
	start_key VARCHAR, 
	created_us INTEGER NOT NULL, 
	updated_us INTEGER NOT NULL, 
	parent_no INTEGER, 
	parent_ordinal INTEGER NOT NULL, 
	depth INTEGER NOT NULL, 
	source_id VARCHAR, 
	source_seq INTEGER NOT NULL, 
	quarantine INTEGER NOT NULL, 
	caps_known INTEGER NOT NULL, 
	children INTEGER NOT NULL, 
	children_open INTEGER NOT NULL, 
	PRIMARY KEY (no), 
	CONSTRAINT status_known CHECK (status IN ('RUNNABLE', 'RUNNING', 'WAITING', 'STUCK', 'COMPENSATING', 'TERMINAL', 'FAILED', 'CANCELLED')), 
	CONSTRAINT end_status_known CHECK (end_status IN ('TERMINAL', 'CANCELLED', 'FAILED') OR end_status IS NULL), 
	UNIQUE (id), 
	UNIQUE (start_key)
);
INSERT INTO "run" VALUES(1,'r-6ewzat00eydh','agent','TERMINAL',4,9,1,1,X'5EC8509D4CAAEB08F522199E375BB48417806E2282C70E874752CB94F7E870C0',3,0,0,NULL,0,0,'','TERMINAL','',0,NULL,1800000000000000,1800000004200000,NULL,0,0,NULL,0,0,1,0,0);
INSERT INTO "run" VALUES(2,'r-6ewzay38ar3n','agent','FAILED',1,8,0,3,X'BBF1C271510FFE62B2332CFA30AB9F7FAB27CC559B932A611331F935A10BE381',1,0,0,NULL,0,0,'','FAILED','Boom: no money',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0);
INSERT INTO "run" VALUES(3,'r-6ewzay388myq','agent','COMPENSATING',3,4,0,1,X'1E441AD17FE1AC5994E25858606FB4E93657E8922D9712E0F756042A2DEE97A5',2,0,0,NULL,0,0,'','TERMINAL','',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0);
INSERT INTO "run" VALUES(4,'r-6ewzay38ng7a','agent','STUCK',2,2,0,1,X'665C3EB420769508CC77BC271B6FDEF4BFFE864E9163F5B8BF6259521725DAEF',1,0,0,NULL,0,0,'a person',NULL,'only a person can know whether r-6ewzay38ng7a/-/0/tool happened',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0);
INSERT INTO "run" VALUES(5,'r-6ewzay38kd2c','agent','RUNNABLE',2,3,0,1,X'44934F24895FF21435F1341BF6825193B27154FA717538A7FC5EF25BF8AD54AA',1,0,0,NULL,0,0,'',NULL,'',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0);
INSERT INTO "run" VALUES(6,'r-6ewzay38h9xe','agent','WAITING',1,2,0,1,X'CD098D3336535D45B7D9E2D3321777F1AD0B5A232C5C6745F647796DA8DDFFD1',1,0,0,NULL,0,0,'outbox of -/0/tool',NULL,'',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0);
INSERT INTO "run" VALUES(7,'r-6ewzay38f6rg','agent','WAITING',2,2,0,1,X'6EC45BA4129690FE7A34E61651024F57B8EB2787C062B0A747523EDADD7D4453',1,0,0,NULL,0,0,'undo of -/0/tool',NULL,'',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0);
INSERT INTO "run" VALUES(8,'r-6ewzay38d3kj','agent','CANCELLED',0,2,0,0,X'0D17FE244E6C8D2A645F1DCD012337F3C27CA609550713A9874AD7CB9A313E70',0,0,0,NULL,0,0,'','CANCELLED','',1,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0);
INSERT INTO "run" VALUES(9,'r-6ewzay38w213','agent','RUNNABLE',0,1,0,0,X'CBF431D84398AAA0E125117941626D5E6A05D9B386315271D218442D31E8C016',0,0,0,NULL,0,0,'',NULL,'',0,'monday',1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0);
INSERT INTO "run" VALUES(10,'r-6ewzay38b0em','agent','RUNNING',1,2,0,1,X'C9F1CBF1CF0AA54B3C31DB163A43E3170E4DEB2F18A32F1064249BD9E358E838',1,0,0,11,1019200000,0,'',NULL,'',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0);
CREATE TABLE timer (
	run_no INTEGER NOT NULL, 
	ordinal INTEGER NOT NULL, 
	fire_us INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	PRIMARY KEY (run_no, ordinal), 
	CONSTRAINT status_known CHECK (status IN ('SET', 'FIRED', 'DROPPED'))
)
 WITHOUT ROWID;
INSERT INTO "timer" VALUES(1,0,1800000003200000,'FIRED');
CREATE TABLE worker (
	no INTEGER NOT NULL, 
	nonce VARCHAR NOT NULL, 
	pid INTEGER NOT NULL, 
	start_ticks INTEGER NOT NULL, 
	boot_id VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	started_us INTEGER NOT NULL, 
	died_us INTEGER, 
	how VARCHAR NOT NULL, 
	proven INTEGER NOT NULL, 
	PRIMARY KEY (no), 
	CONSTRAINT status_known CHECK (status IN ('STARTED', 'READY', 'FROZEN', 'DEAD')), 
	UNIQUE (nonce)
);
INSERT INTO "worker" VALUES(1,'00000000000000000000000000000002',100,7,'boot-manual','here','DEAD',1800000000000000,1800000000000000,'signal 9',1);
INSERT INTO "worker" VALUES(2,'00000000000000000000000000000003',100,7,'boot-manual','here','READY',1800000002200000,NULL,'',0);
INSERT INTO "worker" VALUES(3,'00000000000000000000000000000004',100,7,'boot-manual','here','READY',1800000004200000,NULL,'',0);
INSERT INTO "worker" VALUES(4,'00000000000000000000000000000006',100,7,'boot-manual','here','READY',1800000004200000,NULL,'',0);
INSERT INTO "worker" VALUES(5,'00000000000000000000000000000008',100,7,'boot-manual','here','DEAD',1800000004200000,1800000004200000,'signal 9',1);
INSERT INTO "worker" VALUES(6,'00000000000000000000000000000009',100,7,'boot-manual','here','READY',1800000004200000,NULL,'',0);
INSERT INTO "worker" VALUES(7,'0000000000000000000000000000000b',100,7,'boot-manual','here','DEAD',1800000004200000,1800000004200000,'signal 9',1);
INSERT INTO "worker" VALUES(8,'0000000000000000000000000000000d',100,7,'boot-manual','here','DEAD',1800000004200000,1800000004200000,'signal 9',1);
INSERT INTO "worker" VALUES(9,'0000000000000000000000000000000f',100,7,'boot-manual','here','READY',1800000004200000,NULL,'',0);
INSERT INTO "worker" VALUES(10,'00000000000000000000000000000011',100,7,'boot-manual','here','DEAD',1800000004200000,1800000004200000,'signal 9',1);
INSERT INTO "worker" VALUES(11,'00000000000000000000000000000015',100,7,'boot-manual','here','READY',1800000004200000,NULL,'',0);
CREATE UNIQUE INDEX entry_run_seq ON entry (run_no, seq);
CREATE INDEX run_open ON run (status, no) WHERE status NOT IN ('TERMINAL', 'FAILED', 'CANCELLED');
CREATE INDEX run_parent ON run (parent_no) WHERE parent_no IS NOT NULL;
CREATE INDEX effect_work ON effect (run_no) WHERE step <> '';
CREATE INDEX obligation_work ON obligation (run_no) WHERE status IN ('DUE', 'CLAIMED');
CREATE INDEX lease_live ON lease (worker_no) WHERE status = 'LIVE';
CREATE INDEX timer_due ON timer (fire_us) WHERE status = 'SET';
CREATE INDEX gate_due ON gate (deadline_us) WHERE status = 'OPEN' AND deadline_us IS NOT NULL;
CREATE INDEX ix_conflict_run_no ON "conflict" (run_no);
CREATE INDEX worker_alive ON worker (status) WHERE status <> 'DEAD';
COMMIT;
