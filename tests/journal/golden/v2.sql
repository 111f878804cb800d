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
CREATE TABLE cap_wait (
	run_no INTEGER NOT NULL, 
	place VARCHAR NOT NULL, 
	status VARCHAR NOT NULL, 
	wants VARCHAR NOT NULL, 
	unit VARCHAR NOT NULL, 
	asked INTEGER NOT NULL, 
	purse_no INTEGER NOT NULL, 
	since_us INTEGER NOT NULL, 
	actor VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	recheck INTEGER NOT NULL, 
	PRIMARY KEY (run_no, place), 
	CONSTRAINT status_known CHECK (status IN ('OPEN', 'ANSWERED'))
)
 WITHOUT ROWID;
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
	timeout_us INTEGER, 
	PRIMARY KEY (run_no, "key"), 
	CONSTRAINT status_known CHECK (status IN ('PENDING', 'UNKNOWN', 'CONFIRMED', 'FAILED')), 
	CONSTRAINT dispatch_known CHECK (dispatch IN ('inline', 'outbox')), 
	CONSTRAINT semantics_known CHECK (semantics IN ('read_only', 'idempotent', 'non_idempotent')), 
	CONSTRAINT on_unknown_known CHECK (on_unknown IN ('ask', 'compensate')), 
	CONSTRAINT answer_known CHECK (answer IN ('none', 'present', 'absent', 'duplicate', 'unclear')), 
	CONSTRAINT step_known CHECK (step IN ('', 'again', 'ask', 'ask_later', 'confirm', 'confirm_first', 'compensate', 'person'))
)
 WITHOUT ROWID;
INSERT INTO "effect" VALUES('non_idempotent',1,1,2000000,'ask',NULL,1,1800000000000000,1,1000000000,1002200000,'unclear',1,'',1002200000,3,'',0,1,1,'r-6ewzat00eydh/-/0/tool','tool',-1,0,'fdef1c56ba73e4e51606f3d5ebcff1a6','CONFIRMED','inline',0,NULL,0,0,0,'observed','reconciler',10,27,1,0,NULL,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',1,NULL,0,1,0,'returned','agent',49,50,1,0,NULL,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/1/tool','tool',-1,1,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',1,NULL,0,1,0,'returned','agent',51,52,1,0,NULL,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/2/tool','tool',-1,2,'74234e98afe7498fb5daf1f36ac2d78a','FAILED','inline',1,NULL,0,1,0,'rejected','agent',53,54,1,0,NULL,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,1004200000,1004200000,'none',0,'',0,1,'',0,1,3,'r-6ewzay388myq/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',1,NULL,0,0,0,'observed','reconciler',74,83,1,0,NULL,NULL);
INSERT INTO "effect" VALUES('non_idempotent',0,0,0,'ask',NULL,1,1800000004200000,1,1004200000,0,'none',0,'person',0,0,'',0,0,4,'r-6ewzay38ng7a/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','UNKNOWN','inline',0,NULL,0,0,0,'','',102,NULL,1,0,NULL,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,1004200000,1004200000,'none',0,'',0,1,'',0,1,5,'r-6ewzay38kd2c/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',0,NULL,0,0,0,'observed','reconciler',112,121,1,0,NULL,NULL);
INSERT INTO "effect" VALUES('idempotent',0,0,0,'ask',NULL,2,1800000004200000,0,1004200000,0,'none',0,'again',0,2,'reactor',1034200000,2,6,'r-6ewzay38h9xe/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','PENDING','outbox',0,NULL,0,0,0,'','',128,NULL,1,0,NULL,NULL);
INSERT INTO "effect" VALUES('non_idempotent',0,0,0,'compensate',NULL,1,1800000004200000,1,1004200000,0,'none',0,'compensate',0,0,'',0,0,7,'r-6ewzay38f6rg/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','UNKNOWN','inline',1,NULL,0,0,0,'','',141,NULL,1,0,NULL,NULL);
INSERT INTO "effect" VALUES('idempotent',0,0,0,'ask',60000000,1,1800000004200000,0,0,0,'none',0,'',0,0,'',0,0,10,'r-6ewzay38b0em/-/0/tool','tool',-1,0,'ab96af5d33847cb4246bc071f1514639','PENDING','inline',0,NULL,1,1,0,'','',156,NULL,1,0,NULL,NULL);
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
INSERT INTO "entry" VALUES(10,1,4,'effect_begun',1,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":{"to":"ACME","amount_minor":12500},"args_hash":"fdef1c56ba73e4e51606f3d5ebcff1a6","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":false,"business_key":null,"awaited":true,"approval":null,"quarantined":false,"hidden":null}',X'D05F468DB7B9F3FB1B9A254C35A28C5853B3790D00D0F5DC5E647A2B7D5BDBF4');
INSERT INTO "entry" VALUES(11,1,NULL,'point_reached',1,1800000000000000,'{"point":"effect.acted","death":"KILL","worker":1,"pid":100,"order":1}',X'B617E84EE02FB0203B870DA45D963396F8B963C08D8458BC39D5139168DAE758');
INSERT INTO "entry" VALUES(12,NULL,NULL,'worker_died',0,1800000000000000,'{"worker":1,"pid":100,"how":"signal 9","proven":true}',X'1686C395898D2A0C0973C71136B5F7FB75E3812906ECDC935B62EBF591F8FAA2');
INSERT INTO "entry" VALUES(13,1,NULL,'lease_ended',1,1800000000000000,'{"worker":1,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'0BB44E316E827CA42C663FFD63A7B4E709ECBA5EF2ABFB0C86D3E5B106B5975B');
INSERT INTO "entry" VALUES(14,1,NULL,'attempt_ended',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'13E7739EF0266596352AEDFDB0C9FC32FDB39FC0647AE9A4AE2D914A9FAF5222');
INSERT INTO "entry" VALUES(15,1,NULL,'effect_doubted',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","status":"UNKNOWN","row":"N-ask-look-up","step":"ask","why":"signal 9"}',X'14FEA00380EC79FA5251909FF090FB9DE8F1B07474B620E2E6EACDE4BEDA3EB2');
INSERT INTO "entry" VALUES(16,1,NULL,'run_moved',2,1800000000000000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'EF13DA87F36F48752719BE879F90D5AA9A44D51EC31660B1939CD8BCC3297C48');
INSERT INTO "entry" VALUES(17,1,NULL,'write_refused',2,1800000000000000,'{"worker":1,"epoch":1,"live_epoch":2,"write":"effect_ended","why":"fenced","evidence":{"late":true}}',X'A3CBB30FE12A8EF44B030E7813EE6987C12232BD3E29AB1CDBF8669DA0C4FF6B');
INSERT INTO "entry" VALUES(18,1,NULL,'claimed',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","by":"reactor","claim_epoch":1}',X'38D9A66EEFEBCB1EA151CA2023A0356E0D71772B59CA72261314B0361AA0D7AE');
INSERT INTO "entry" VALUES(19,1,NULL,'attempt_started',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"look-up","number":1,"by":"reactor","worker":null}',X'9A773F374E9E3EA1229A350CACAAAE3933778271BFD3E96A4C876B138ED44EC4');
INSERT INTO "entry" VALUES(20,1,NULL,'observed',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","number":1,"answer":"absent","row":"N-settling","step":"ask_later","detail":null}',X'2F1104779D7408F0140201B4A98D2FAC05FED3ED9B0703BCF7EBEF8FAF2C194D');
INSERT INTO "entry" VALUES(21,1,NULL,'claimed',2,1800000002000000,'{"key":"r-6ewzat00eydh/-/0/tool","by":"reactor","claim_epoch":2}',X'BCE8C6B952A6A4D2A3BB871D920F0C05B52ED16FA4D619983900C89B975ACE63');
INSERT INTO "entry" VALUES(22,1,NULL,'attempt_started',2,1800000002000000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"look-up","number":2,"by":"reactor","worker":null}',X'57821E2A908F859D7F7E5E8D8062B2F6470EA1E7B1161858AB64A41965981182');
INSERT INTO "entry" VALUES(23,1,NULL,'observed',2,1800000002000000,'{"key":"r-6ewzat00eydh/-/0/tool","number":2,"answer":"unclear","row":"N-unclear","step":"ask_later","detail":null}',X'906E1A7675B70632FB38CFD43583FAB90D12125762DE4624A523A7937FFD9DED');
INSERT INTO "entry" VALUES(24,1,NULL,'claimed',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","by":"reactor","claim_epoch":3}',X'893B916205DEB8725B6F3D7283A9ED6F839B07832E9F77D4F8C803A9C53B7B98');
INSERT INTO "entry" VALUES(25,1,NULL,'attempt_started',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"look-up","number":3,"by":"reactor","worker":null}',X'E76481C2A427691D1900E3ADBDC405096364623D006D318895D770019AC045DD');
INSERT INTO "entry" VALUES(26,1,NULL,'observed',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","number":3,"answer":"present","row":"N-present","step":"confirm","detail":{"acts":[{"wire_id":"w-1"}]}}',X'94821B93D44369ABCB749F233223B1374BB1DC3230243BDB6C5F13E330C2EFF6');
INSERT INTO "entry" VALUES(27,1,5,'effect_ended',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"observed","writer":"reconciler","row":"N-present","attempt":1,"result":{"wire_id":"w-1"},"error":null,"result_error":null}',X'F063A4AC3724CD1EC691788EFBE12BB470C7418DA634C1D559D1DA3C77BC9488');
INSERT INTO "entry" VALUES(28,1,NULL,'run_moved',2,1800000002200000,'{"status":"RUNNABLE","was":"WAITING","why":"r-6ewzat00eydh/-/0/tool is settled: N-present","commands":[]}',X'0C2A7834D05FF854340F915CB77D2131375CCDA84FC4714346BA7331AC867421');
INSERT INTO "entry" VALUES(29,NULL,NULL,'worker_started',0,1800000002200000,'{"worker":2,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000003","host":"here"}',X'216725A6DC9EF9709DC118AD85A29CDC8418D8311D33F637987088576FAD3A75');
INSERT INTO "entry" VALUES(30,NULL,NULL,'worker_moved',0,1800000002200000,'{"worker":2,"pid":100,"status":"READY"}',X'BF4685F445427DE55150BD2C478167CA01AB29232AE17E8B413ACFFCD50EFD95');
INSERT INTO "entry" VALUES(31,1,NULL,'lease_granted',3,1800000002200000,'{"worker":2,"pid":100,"epoch":3,"drive":2,"decision_index":1,"next_seq":6,"crashes":0,"alone":false}',X'4AA346947AE6AAA95E12484C9E7FBD611B6DB986AA6E8707D1E11A4D47D7D981');
INSERT INTO "entry" VALUES(32,1,NULL,'attached',3,1800000002200000,'{"decision_index":1,"next_seq":6,"drive":2,"replayed":["r-6ewzat00eydh/-/0/tool"]}',X'6271C384CFF21B7F9C2E836A069A504B98FEA66A9585031EE84E6F2F0C6939AF');
INSERT INTO "entry" VALUES(33,1,6,'sample',3,1800000002200000,'{"index":0,"name":"now","fingerprint":"f","value":1,"error":null}',X'5FCEA4FD368F23CB9975919584DF2F1ED0CFAEA1089C15ED0EFD644743381006');
INSERT INTO "entry" VALUES(34,1,7,'timer_set',3,1800000002200000,'{"ordinal":0,"seconds":1.0,"fire_at_us":1800000003200000,"fingerprint":"f"}',X'F2D3400409B73362896A1849258240DB4D8834EF6B0D7F02C42EB286505B0D49');
INSERT INTO "entry" VALUES(35,1,NULL,'lease_ended',3,1800000002200000,'{"worker":2,"pid":100,"epoch":3,"status":"RELEASED","why":"sleeps"}',X'8565575B43E22F7CBB0FC7CB43ABAF4B2A33D08870B57D25637ECC7E3AF340C2');
INSERT INTO "entry" VALUES(36,1,NULL,'run_moved',3,1800000002200000,'{"status":"WAITING","was":"RUNNING","why":"sleeps","commands":[]}',X'F42D7E61DC09AA733BBDC2AA440951EC1ED26D42D14A9A0A2B9FFE1407C003E1');
INSERT INTO "entry" VALUES(37,1,8,'timer_fired',3,1800000004200000,'{"ordinal":0,"late_us":1000000}',X'D28DE62F98517AAB8D26BC1D6B0051E6E0035BF3A37FCF0A824A5AFB29292071');
INSERT INTO "entry" VALUES(38,1,NULL,'run_moved',3,1800000004200000,'{"status":"RUNNABLE","was":"WAITING","why":"timer 0 fired","commands":[]}',X'11531CBBE9612DC1C7A223D66F50325C22EAAAE5EB53FD1EEA5FF0D839C4E2FD');
INSERT INTO "entry" VALUES(39,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":3,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000004","host":"here"}',X'3CF8EBDE3C4F39E31A2DBE49AAE7D939EDD374522234A69E02768B0D92906CFD');
INSERT INTO "entry" VALUES(40,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":3,"pid":100,"status":"READY"}',X'B2D092FC088A80508E5F447085D7D72C47AD9EAB45C3C7DB4618D30C214307CD');
INSERT INTO "entry" VALUES(41,1,NULL,'lease_granted',4,1800000004200000,'{"worker":3,"pid":100,"epoch":4,"drive":3,"decision_index":1,"next_seq":9,"crashes":0,"alone":false}',X'B0C782E9E5361B80661642A7C27B21C594E962107363386B06B6729DB203C8E5');
INSERT INTO "entry" VALUES(42,1,NULL,'lease_ended',4,1800000004200000,'{"worker":3,"pid":100,"epoch":4,"status":"RELEASED","why":"the run ended"}',X'C1E9F63193ED64E4243C8E66C729FD37E4960E717BEA55632984ACDC6F4334B4');
INSERT INTO "entry" VALUES(43,1,9,'run_ended',4,1800000004200000,'{"outcome":"TERMINAL","result":{"paid":true},"error":null,"writer":"agent"}',X'E339EC36CDC8FADDD57E13687DFD19A847DCAA2C95BD6F2415141D7D56578874');
INSERT INTO "entry" VALUES(44,1,NULL,'run_moved',4,1800000004200000,'{"status":"TERMINAL","was":"RUNNING","why":"","commands":[]}',X'ED881B09F5777EB73D254E897974B7551B27AA0EF6E35AE8A3D79455AA07BFBC');
INSERT INTO "entry" VALUES(45,2,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(46,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":4,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000006","host":"here"}',X'D394696BA85C33FFBA12CCB413C18F729AE6BF2BEEC985B087DC0163A4F52041');
INSERT INTO "entry" VALUES(47,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":4,"pid":100,"status":"READY"}',X'5FFBAFD17A80BB439AC585593C0B00C25BCF1CEE32BBD346B60385C8AF82502E');
INSERT INTO "entry" VALUES(48,2,NULL,'lease_granted',1,1800000004200000,'{"worker":4,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'E70CB1342E4E6FF322E1A1315BAF7272B7B79485F1724151F45B6D8B315B3C6B');
INSERT INTO "entry" VALUES(49,2,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null,"awaited":true,"approval":null,"quarantined":false,"hidden":null}',X'19075DD653086C60377CCB7AD918D1121C7F2FF2E9740103336B6B498E5833B6');
INSERT INTO "entry" VALUES(50,2,3,'effect_ended',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"returned","writer":"agent","row":"","attempt":1,"result":{"ok":1},"error":null,"result_error":null}',X'2E506B4E542C986A53A0094542E3468BC865FE11A442A5D8CD2D868A8B991923');
INSERT INTO "entry" VALUES(51,2,4,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool","decision_index":null,"ordinal":1,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null,"awaited":true,"approval":null,"quarantined":false,"hidden":null}',X'A3E2E5A7F750FA75317729597F1EB95CE458DCC31EBCEE08D5ABF596C441A264');
INSERT INTO "entry" VALUES(52,2,5,'effect_ended',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool","tool":"tool","status":"CONFIRMED","resolution":"returned","writer":"agent","row":"","attempt":1,"result":{"ok":1},"error":null,"result_error":null}',X'A5CAEFC1983C32229EF98EAD53C7360EF5AC9FE4629A9162570FE79CDFBAF881');
INSERT INTO "entry" VALUES(53,2,6,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/2/tool","decision_index":null,"ordinal":2,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null,"awaited":true,"approval":null,"quarantined":false,"hidden":null}',X'D043762EA2F800C88F56BA82F4E7F6C3894199F9448D81357554AD22D0041D35');
INSERT INTO "entry" VALUES(54,2,7,'effect_ended',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/2/tool","tool":"tool","status":"FAILED","resolution":"rejected","writer":"agent","row":"","attempt":1,"result":null,"error":{"type":"Rejected","message":"no"},"result_error":null}',X'AAE3FE51307DFE78B134C1B8548ED99A8FBDB3AF418295E45ECD304014515080');
INSERT INTO "entry" VALUES(55,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/2/tool/undo/1","status":"DROPPED","was":"ARMED","why":"the act is certainly not in effect"}',X'574D427E150C2F9888A53C98C8A6897139A8E36D0273C02BC39F529EDBD3DDEB');
INSERT INTO "entry" VALUES(56,2,NULL,'lease_ended',1,1800000004200000,'{"worker":4,"pid":100,"epoch":1,"status":"RELEASED","why":"the run ended"}',X'FA1A3F49CDA631ED7FD29A2E77CB617FE8B8808024BD4A9F0A9D3193E0C5878F');
INSERT INTO "entry" VALUES(57,2,8,'run_ended',1,1800000004200000,'{"outcome":"FAILED","result":null,"error":{"type":"Boom","message":"no money"},"writer":"agent"}',X'9DA766DF2B7FD62A128F859C6C07898A0D75FB76AE6E5DAE7771A4A377891EC7');
INSERT INTO "entry" VALUES(58,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","status":"DUE","was":"ARMED","why":"the run ended FAILED"}',X'D879434815A87AE729648470C173CE81B2E04ADE1A33F13444978A55BFB49D06');
INSERT INTO "entry" VALUES(59,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","status":"DUE","was":"ARMED","why":"the run ended FAILED"}',X'942A6A0DA84313AF0FB706F85D3A0C38D18F91AD755235BE13FB08D75542BFC3');
INSERT INTO "entry" VALUES(60,2,NULL,'run_moved',1,1800000004200000,'{"status":"COMPENSATING","was":"RUNNING","why":"2 acts to undo first","commands":[]}',X'CD8A9C59AECE0A5F5B3D7E488387771DFF5D26285FC4AE3B34E08C625B237418');
INSERT INTO "entry" VALUES(61,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","status":"CLAIMED","was":"DUE","why":"undo 1"}',X'6D5629E1657AE67F861F51882F304A08CFC416AEDC529F73D8FF0A2BE8596AA4');
INSERT INTO "entry" VALUES(62,2,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","by":"undoer","claim_epoch":1}',X'500C1792E45B3037F70A043DF872E3F1BCED0B11A2E2A0A69CFDC38BDBCFCD96');
INSERT INTO "entry" VALUES(63,2,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","what":"undo","number":1,"by":"undoer","worker":null}',X'BF618453DB801DFFBA1CB75C6DC6B4864582337565C861FA557F48375EB8B5DA');
INSERT INTO "entry" VALUES(64,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","status":"DONE","was":"CLAIMED","why":"undone"}',X'D6E3874F110157E1A1DA4C72989E9812EBEC1FC7EC59F07C85C2C56A131B4A31');
INSERT INTO "entry" VALUES(65,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","status":"CLAIMED","was":"DUE","why":"undo 1"}',X'727EB32A927D4348476627724880E0B2CF08A2FE06C311B6BBEC99EC01BB1EAE');
INSERT INTO "entry" VALUES(66,2,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","by":"undoer","claim_epoch":1}',X'E7DC33B6126676C9E9E54CE41B0FEF9D3F97A2F5273952072D3E4FCA277D2DC4');
INSERT INTO "entry" VALUES(67,2,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","what":"undo","number":1,"by":"undoer","worker":null}',X'B5FB4CEDDBB1F34AD68E8656AE4F5821EA610C625EB21F64B091545BFB30870A');
INSERT INTO "entry" VALUES(68,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","status":"DONE","was":"CLAIMED","why":"undone"}',X'5152513270BB8BD79E8C14A84E244BFD35C27DC685944E3DD77465F9FE6BF69D');
INSERT INTO "entry" VALUES(69,2,NULL,'run_moved',1,1800000004200000,'{"status":"FAILED","was":"COMPENSATING","why":"everything owed is undone","commands":[]}',X'143EEDF2A2F67B68F69E613EED5A7AF30C28E718B9BE6BF258EBC874CF31C29A');
INSERT INTO "entry" VALUES(70,3,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(71,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":5,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000008","host":"here"}',X'4F5164980A52EE24713555DD637C7AF2EF67AD835853D892DFDC8A24875EC852');
INSERT INTO "entry" VALUES(72,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":5,"pid":100,"status":"READY"}',X'369E3E20FE1CAE08B8D966D9295C9D12C8BA8DBD49B0CAF67BEDCF13DFE83D00');
INSERT INTO "entry" VALUES(73,3,NULL,'lease_granted',1,1800000004200000,'{"worker":5,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'44BB4892EB30459746868BEF9799F363D4916979FECB2778BC9E8B7BB98A552B');
INSERT INTO "entry" VALUES(74,3,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null,"awaited":true,"approval":null,"quarantined":false,"hidden":null}',X'6CB5257BBBB6E0E21994305CCBC0FB1D89B635C52ABEC5886B833D3F50D9E32C');
INSERT INTO "entry" VALUES(75,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":5,"pid":100,"how":"signal 9","proven":true}',X'E74B4C4E48A0EE0F99DE1C39081BBD737A03589EC34C0F616AF55A3F1CC99BE9');
INSERT INTO "entry" VALUES(76,3,NULL,'lease_ended',1,1800000004200000,'{"worker":5,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'58D8F1E77A96BE29A2B2678CFC9D51E7AB03701B46C1D6ACC3F590FD87F1052C');
INSERT INTO "entry" VALUES(77,3,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'CB3473BE4382D5EC1D94D0D452EA82BE373C600E8FCFBD54756B161C5FF86B24');
INSERT INTO "entry" VALUES(78,3,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","status":"UNKNOWN","row":"N-ask-look-up","step":"ask","why":"signal 9"}',X'45F0BBD1F0A844170E4B58430343EE2C457D130982909BBAF68BEEA7705BDBFD');
INSERT INTO "entry" VALUES(79,3,NULL,'run_moved',2,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'377B7AB964FD2C935B1890DDB511665F34F0140E6782D3EC9D0FC61903CB26F6');
INSERT INTO "entry" VALUES(80,3,NULL,'claimed',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","by":"reactor","claim_epoch":1}',X'BB91D489AA78B14A365FCF216DD371822C2EDAF90AE97DC3C7AAEFA1548696FF');
INSERT INTO "entry" VALUES(81,3,NULL,'attempt_started',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","what":"look-up","number":1,"by":"reactor","worker":null}',X'B86B96DDB8E471508BD4225DA4D512B1E1FC9E3510FDA567127A47A49F31C7BC');
INSERT INTO "entry" VALUES(82,3,NULL,'observed',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","number":1,"answer":"duplicate","row":"X-duplicate","step":"confirm_first","detail":{"acts":[{"id":1},{"id":2}]}}',X'D973CB8344BA136BBC781027CFDEF35CC6F5412CA1B6C056DE37332B55BF86DD');
INSERT INTO "entry" VALUES(83,3,3,'effect_ended',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"observed","writer":"reconciler","row":"X-duplicate","attempt":1,"result":{"id":1},"error":null,"result_error":null}',X'5CF22DB2EE38C9D44158D8630A8FC423ADBF8C65E87581A9BD9BB874D8A2B1B7');
INSERT INTO "entry" VALUES(84,3,NULL,'obligation_moved',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","status":"DUE","was":"ARMED","why":"a surplus act was found"}',X'409865F8B5CCD94332161FB4DF46FB3838E4345E1D4E64A366BF3E75F1281CAD');
INSERT INTO "entry" VALUES(85,3,NULL,'run_moved',2,1800000004200000,'{"status":"RUNNABLE","was":"WAITING","why":"r-6ewzay388myq/-/0/tool is settled: X-duplicate","commands":[]}',X'805C004D82CFC0A29441E814B7831ECA95B8187C26C577F7E9AE11138C1FC35F');
INSERT INTO "entry" VALUES(86,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":6,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000009","host":"here"}',X'F32056712738EAFE5F38053400FD17BF582F5F793A8A5C5382FEA65F93982B0E');
INSERT INTO "entry" VALUES(87,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":6,"pid":100,"status":"READY"}',X'90380C41625E59C62A73EBB0326230B45CA78AC795009301B4E861BDE8964FC4');
INSERT INTO "entry" VALUES(88,3,NULL,'lease_granted',3,1800000004200000,'{"worker":6,"pid":100,"epoch":3,"drive":2,"decision_index":0,"next_seq":4,"crashes":0,"alone":false}',X'57C726ACC438A9FA40534BC3C5489BA1B801481B1B8AB62798361B02F8A27C27');
INSERT INTO "entry" VALUES(89,3,NULL,'lease_ended',3,1800000004200000,'{"worker":6,"pid":100,"epoch":3,"status":"RELEASED","why":"the run ended"}',X'6F46AB8D45B8D9141D487B204B33C7C93738CB58F0E5BC93B235A8BDC7A1959C');
INSERT INTO "entry" VALUES(90,3,4,'run_ended',3,1800000004200000,'{"outcome":"TERMINAL","result":null,"error":null,"writer":"agent"}',X'7A597DCFC919C1D8FEA93AF5E27E953AA79F8E140D30A26C02AF35D60817CC32');
INSERT INTO "entry" VALUES(91,3,NULL,'obligation_moved',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/1","status":"DROPPED","was":"ARMED","why":"the run ended TERMINAL"}',X'B5E15F92F538E8CD285329FE0B06F78C956CE35B19FFC39A6998BCB634987249');
INSERT INTO "entry" VALUES(92,3,NULL,'run_moved',3,1800000004200000,'{"status":"COMPENSATING","was":"RUNNING","why":"1 act to undo first","commands":[]}',X'9C50CB85A1A5AE5A57E9B99AC358C6A90247A7BBD3B498A96BA041363778BCA3');
INSERT INTO "entry" VALUES(93,3,NULL,'obligation_moved',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","status":"CLAIMED","was":"DUE","why":"undo 1"}',X'DB612C2A714A87D229C41945DAB29310B44693C7D99DC40246C90A844613846E');
INSERT INTO "entry" VALUES(94,3,NULL,'claimed',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","by":"undoer","claim_epoch":1}',X'D213E651146B755C424E34E2A1E43F46169FCE162F597FD2E99DBBA7D3B708A5');
INSERT INTO "entry" VALUES(95,3,NULL,'attempt_started',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","what":"undo","number":1,"by":"undoer","worker":null}',X'3AB1A5BB217D3445C67A0282112B9828FE7B9418F37C8F617CF0CE2D2A617F89');
INSERT INTO "entry" VALUES(96,3,NULL,'attempt_ended',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","what":"undo","number":1,"how":"raised","error":{"type":"Boom","message":"it broke"}}',X'4AAD66E1C6438F1F27745B6261DAE0D857400860F0C326A041601F5C13166843');
INSERT INTO "entry" VALUES(97,3,NULL,'obligation_moved',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","status":"DUE","was":"CLAIMED","why":"raised"}',X'D2AE73B01285F09D8755DC204118285FA8C5B37D93D6BEC790EC463496924F60');
INSERT INTO "entry" VALUES(98,4,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(99,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":7,"pid":100,"start_ticks":7,"nonce":"0000000000000000000000000000000b","host":"here"}',X'4F5DC16A7F5DFDFB5E2810D558FAEB154D4500777AB2FF1A884088D8DB13962A');
INSERT INTO "entry" VALUES(100,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":7,"pid":100,"status":"READY"}',X'A32020B8DB7CAC64751943BA7D8B9CA0FD6B4C69266BB83616FC2C778368DC64');
INSERT INTO "entry" VALUES(101,4,NULL,'lease_granted',1,1800000004200000,'{"worker":7,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'51B73B7C78977053F58FC21ECF2DC1ED10B9D204D0F605B2BE2A4747103A906C');
INSERT INTO "entry" VALUES(102,4,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ng7a/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":false,"compensable":false,"business_key":null,"awaited":true,"approval":null,"quarantined":false,"hidden":null}',X'6DF07DF7C50A7073F585226FAB37FCA68B1ED44FD488FB783C1F7FBCD00EA222');
INSERT INTO "entry" VALUES(103,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":7,"pid":100,"how":"signal 9","proven":true}',X'39230FA965E2028573000E3AB792F856A29D983840C391B328F650429BC097A3');
INSERT INTO "entry" VALUES(104,4,NULL,'lease_ended',1,1800000004200000,'{"worker":7,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'9BCC1C350B36244A3E3439F1983C17A0C0CCB1041AD6953BD13FD93C0534F851');
INSERT INTO "entry" VALUES(105,4,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay38ng7a/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'B95E7D9050B5E46C1C08E30FB1A1E16C65C7A205480E12225341F77782F6FB1C');
INSERT INTO "entry" VALUES(106,4,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay38ng7a/-/0/tool","status":"UNKNOWN","row":"N-ask","step":"person","why":"signal 9"}',X'D0478F60DCC8C1B4E2CF6AD131EC1A45FABB5ECAEE34ED361FB286CE9B6BC763');
INSERT INTO "entry" VALUES(107,4,NULL,'run_moved',2,1800000004200000,'{"status":"STUCK","was":"RUNNING","why":"only a person can know whether r-6ewzay38ng7a/-/0/tool happened","commands":["tape resolve r-6ewzay38ng7a/-/0/tool --confirm JSON --reason TEXT","tape resolve r-6ewzay38ng7a/-/0/tool --fail --reason TEXT","tape resolve r-6ewzay38ng7a/-/0/tool --retry --reason TEXT"]}',X'6A51B6E4A4D51B120085621610C476BA2AAEDA34D6964A7C498BDDDCB9E33957');
INSERT INTO "entry" VALUES(108,5,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(109,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":8,"pid":100,"start_ticks":7,"nonce":"0000000000000000000000000000000d","host":"here"}',X'4F63F8277EE29814C21F631BCFBA7B078A90ADA9AAEB3A20C88525270B3E3096');
INSERT INTO "entry" VALUES(110,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":8,"pid":100,"status":"READY"}',X'F8F4C9176A23554DDEEAF8C5F5BA22FF1386D90F9960E208867D7E226E360F0E');
INSERT INTO "entry" VALUES(111,5,NULL,'lease_granted',1,1800000004200000,'{"worker":8,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'E8F81ACFAE5A22995057B6EDE400475907DFB8E9DAD93B7C47FE6A100B0F8D3C');
INSERT INTO "entry" VALUES(112,5,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":false,"business_key":null,"awaited":true,"approval":null,"quarantined":false,"hidden":null}',X'EFEBB2120834CD3DBC6F99FA19F075C4D4F3DAA8BA52707435906FCFF3F56847');
INSERT INTO "entry" VALUES(113,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":8,"pid":100,"how":"signal 9","proven":true}',X'7861579A374AB9A0991B9206D9E42F1C81C560C7436E0EE1CDB2C4C304B53AF6');
INSERT INTO "entry" VALUES(114,5,NULL,'lease_ended',1,1800000004200000,'{"worker":8,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'AAED319BDE02D5C9B98EB0F02A6FA0A7EA2151F3A19F073156E0CD57191F3B73');
INSERT INTO "entry" VALUES(115,5,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'9F8F2526443888868D32C798135618AA5C8C5738CCFB3A02E069D70F2EA3812B');
INSERT INTO "entry" VALUES(116,5,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","status":"UNKNOWN","row":"N-ask-look-up","step":"ask","why":"signal 9"}',X'2A9EBD11E1D010D5883C50FCB5DC837543881BCA359D50443812A063CEE506E0');
INSERT INTO "entry" VALUES(117,5,NULL,'run_moved',2,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'5559B9B724151CCB28F44383A1E266F9124837CC3DC63D05CA7A3CEED0FCCE71');
INSERT INTO "entry" VALUES(118,5,NULL,'claimed',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","by":"reactor","claim_epoch":1}',X'A635670342934B87298622AFA9E908365CA251096A185313B8E73AECAF9CED4A');
INSERT INTO "entry" VALUES(119,5,NULL,'attempt_started',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","what":"look-up","number":1,"by":"reactor","worker":null}',X'97EDC2865B4B6F7084D8EDDE2B3BA6B6509A9C3A67BBAC4303B6C2952C9F4AA8');
INSERT INTO "entry" VALUES(120,5,NULL,'observed',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","number":1,"answer":"duplicate","row":"X-duplicate","step":"confirm_first","detail":{"acts":[{"id":1},{"id":2}]}}',X'AC6E1FBB5F8218C4ECE86D0D01ACB4C793D5831F910EC9B4F75E5FACC15208E2');
INSERT INTO "entry" VALUES(121,5,3,'effect_ended',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"observed","writer":"reconciler","row":"X-duplicate","attempt":1,"result":{"id":1},"error":null,"result_error":null}',X'81722BD2F7141F94AD97E398DA3E087FB0EF2AD8F4B1844FBF90680F5A0E812E');
INSERT INTO "entry" VALUES(122,5,NULL,'conflict_opened',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","why":"the upstream holds a surplus act that cannot be undone","evidence":{"id":2}}',X'A005BBBD15B39A10FB175F1231D1353F74D4B87699EB6A95EDF5F4F519BE9ABF');
INSERT INTO "entry" VALUES(123,5,NULL,'run_moved',2,1800000004200000,'{"status":"RUNNABLE","was":"WAITING","why":"r-6ewzay38kd2c/-/0/tool is settled: X-duplicate","commands":[]}',X'08621AA422D4BF7879E441AD5B38B199B2CCC3C154B8AFF451AD0FE835F5C27E');
INSERT INTO "entry" VALUES(124,6,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(125,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":9,"pid":100,"start_ticks":7,"nonce":"0000000000000000000000000000000f","host":"here"}',X'CF137E522AD19111EE3A9C6BA4AEF7985AC182D409FF8D88B6EA07A479CC2159');
INSERT INTO "entry" VALUES(126,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":9,"pid":100,"status":"READY"}',X'A918E80669F4DE8D6501C1779CE78EF6731EBFC0590C7871694537B634CFDC51');
INSERT INTO "entry" VALUES(127,6,NULL,'lease_granted',1,1800000004200000,'{"worker":9,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'E5556E6491829A2D7AF4C84FF721A576198DBA690135767B83D7E3C97E841110');
INSERT INTO "entry" VALUES(128,6,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"idempotent","dispatch":"outbox","look_up":false,"compensable":false,"business_key":null,"awaited":true,"approval":null,"quarantined":false,"hidden":null}',X'4679C624917CAC91AF4F104D1768454C1A3910BE574A4BFFEB59066476459E44');
INSERT INTO "entry" VALUES(129,6,NULL,'lease_ended',1,1800000004200000,'{"worker":9,"pid":100,"epoch":1,"status":"RELEASED","why":"waits"}',X'63135FDFC01FAF766E6B1E384521FEDAB7AC277ADF16B8FF9016375088FC6B83');
INSERT INTO "entry" VALUES(130,6,NULL,'run_moved',1,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"waits","commands":[]}',X'B3212948E304DE2729F250C2D9974CE3AA49A4443A7A223F86A21178604CAE32');
INSERT INTO "entry" VALUES(131,6,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","by":"reactor","claim_epoch":1}',X'2FB0037B4080DA583F2581C2795137A711845CD9F82C8CE6D43589BCEB7CD8B6');
INSERT INTO "entry" VALUES(132,6,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","what":"body","number":1,"by":"reactor","worker":null}',X'5805DB148C8B8C9FB3E2A7A7721321954FC0D63142E65E452296015B48DE0391');
INSERT INTO "entry" VALUES(133,6,NULL,'attempt_ended',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","what":"body","number":1,"how":"died","error":null}',X'EF71362BC97C166003B679C26F8BBB390B462A8AF0BD60F12326DB5FA13A2F9E');
INSERT INTO "entry" VALUES(134,6,NULL,'effect_doubted',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","status":"PENDING","row":"I-again","step":"again","why":"died"}',X'8D22C0B593205145921F226C0DB4FA96B99B2D84CA2DD73F8FC1F3C16E7E6B3A');
INSERT INTO "entry" VALUES(135,6,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","by":"reactor","claim_epoch":2}',X'21419D41CC639BF1716B627B9C0243B4FA73DA9B031C93EB322E14C9086F5D55');
INSERT INTO "entry" VALUES(136,6,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","what":"body","number":2,"by":"reactor","worker":null}',X'A3883CB5CD07BE847408D76834354F1C5F828393A0E954AF7865303A1BA42CC2');
INSERT INTO "entry" VALUES(137,7,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(138,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":10,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000011","host":"here"}',X'743199EDFF8845F56F806B5986FA089BC1687997F706683F4F1E3F786D4D4F73');
INSERT INTO "entry" VALUES(139,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":10,"pid":100,"status":"READY"}',X'02AC57AA00B4655855223A5B75850C728D38EBFBD9F96220DCC194BB0689D797');
INSERT INTO "entry" VALUES(140,7,NULL,'lease_granted',1,1800000004200000,'{"worker":10,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'FC6D9B00A1862638A9EF4323E860C8962B5681EE3B6CB1358B713CCA2F320608');
INSERT INTO "entry" VALUES(141,7,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":false,"compensable":true,"business_key":null,"awaited":true,"approval":null,"quarantined":false,"hidden":null}',X'5318530FFFBDD5124BD001B352D66EA147BCC5CD8DF5102ADCE441410A777D2F');
INSERT INTO "entry" VALUES(142,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":10,"pid":100,"how":"signal 9","proven":true}',X'BA9A54DE4F0C1998A2356496B3B884F9CE4D07810D84155A105802C701438F2F');
INSERT INTO "entry" VALUES(143,7,NULL,'lease_ended',1,1800000004200000,'{"worker":10,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'97832F7055436E0145E582FC9BE47CDCEC1F831E70DAE987A19730670DD9EC00');
INSERT INTO "entry" VALUES(144,7,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'25989888BCDC2D142515273AE793703559F11A3F3DB8F4247FA0707E3216E490');
INSERT INTO "entry" VALUES(145,7,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool","status":"UNKNOWN","row":"N-undo","step":"compensate","why":"signal 9"}',X'08A9EBCE8AF85734203A5170BA51DD706D82F9D582948F9EF38564A6EF783514');
INSERT INTO "entry" VALUES(146,7,NULL,'obligation_moved',2,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool/undo/1","status":"DUE","was":"ARMED","why":"nobody can be asked whether it happened"}',X'DCEE10DEA28D293509F08EDCDF9AB47CBF29816FA4A46F0ECFF58C98BCD6AE5B');
INSERT INTO "entry" VALUES(147,7,NULL,'run_moved',2,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'4D90B1010C0CDD8AD8B1FAD478FD1C46555460E4E072E11F75E4FAE443DCAF8C');
INSERT INTO "entry" VALUES(148,8,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(149,8,2,'run_ended',0,1800000004200000,'{"outcome":"CANCELLED","result":null,"error":null,"writer":"operator"}',X'77CFABE51A74495533CCE3ECED3046BA4A0B326D71B49C099C712DD0224BA761');
INSERT INTO "entry" VALUES(150,8,NULL,'run_moved',0,1800000004200000,'{"status":"CANCELLED","was":"RUNNABLE","why":"","commands":[]}',X'0D17FE244E6C8D2A645F1DCD012337F3C27CA609550713A9874AD7CB9A313E70');
INSERT INTO "entry" VALUES(151,9,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"not begun","start_key":"monday","actor":"","parent":null,"source":null,"source_seq":0}',X'CBF431D84398AAA0E125117941626D5E6A05D9B386315271D218442D31E8C016');
INSERT INTO "entry" VALUES(152,10,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":"","parent":null,"source":null,"source_seq":0}',X'D9E1AA24E53614713DC5C35BC21C443DC6C566D24981ED110FCFB71450F54B3B');
INSERT INTO "entry" VALUES(153,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":11,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000015","host":"here"}',X'D54F2D2DC44E03D1A54E36E984B615781DEA5F3300F4570B0C3D74F3A7629618');
INSERT INTO "entry" VALUES(154,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":11,"pid":100,"status":"READY"}',X'9845EF942628620400B3C877BED23C34ED14C6E0D3716D5F05FB12D2A31EDF22');
INSERT INTO "entry" VALUES(155,10,NULL,'lease_granted',1,1800000004200000,'{"worker":11,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'946AFBF06178E5D4CD1465388CC71C5C4CE6A980DA7021C4A2064C5BD5BBC737');
INSERT INTO "entry" VALUES(156,10,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38b0em/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":{"live":null},"args_hash":"ab96af5d33847cb4246bc071f1514639","fingerprint":"f","semantics":"idempotent","dispatch":"inline","look_up":false,"compensable":false,"business_key":null,"awaited":true,"approval":null,"quarantined":false,"hidden":null}',X'95E3E8815E18184472BFFEEB160A2D1E4820C28B63CCD8516406BF809435D0F8');
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
	ordered INTEGER NOT NULL, 
	PRIMARY KEY (run_no, "key"), 
	CONSTRAINT status_known CHECK (status IN ('ARMED', 'DUE', 'CLAIMED', 'DONE', 'STUCK', 'DROPPED')), 
	CONSTRAINT semantics_known CHECK (semantics IN ('read_only', 'idempotent', 'non_idempotent')), 
	CONSTRAINT on_unknown_known CHECK (on_unknown IN ('ask', 'compensate')), 
	CONSTRAINT answer_known CHECK (answer IN ('none', 'present', 'absent', 'duplicate', 'unclear')), 
	CONSTRAINT step_known CHECK (step IN ('', 'again', 'ask', 'ask_later', 'confirm', 'confirm_first', 'compensate', 'person'))
)
 WITHOUT ROWID;
INSERT INTO "obligation" VALUES('idempotent',0,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,1,'',0,1,2,'r-6ewzay38ar3n/-/0/tool/undo/1','r-6ewzay38ar3n/-/0/tool',2,1,'DONE','undone','',0);
INSERT INTO "obligation" VALUES('idempotent',0,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,1,'',0,1,2,'r-6ewzay38ar3n/-/1/tool/undo/1','r-6ewzay38ar3n/-/1/tool',4,1,'DONE','undone','',0);
INSERT INTO "obligation" VALUES('idempotent',0,0,0,'ask',NULL,0,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/2/tool/undo/1','r-6ewzay38ar3n/-/2/tool',6,1,'DROPPED','the act is certainly not in effect','',0);
INSERT INTO "obligation" VALUES('non_idempotent',1,0,0,'ask',NULL,0,1800000004200000,1,0,0,'none',0,'again',0,0,'',0,0,3,'r-6ewzay388myq/-/0/tool/undo/1','r-6ewzay388myq/-/0/tool',2,1,'DROPPED','the run ended TERMINAL','',0);
INSERT INTO "obligation" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,1004200000,0,'none',0,'ask',1005200000,1,'',0,1,3,'r-6ewzay388myq/-/0/tool/undo/2','r-6ewzay388myq/-/0/tool',2,1,'DUE','raised','{"id":2}',0);
INSERT INTO "obligation" VALUES('idempotent',0,0,0,'ask',NULL,0,1800000004200000,1,0,0,'none',0,'again',0,0,'',0,0,7,'r-6ewzay38f6rg/-/0/tool/undo/1','r-6ewzay38f6rg/-/0/tool',2,1,'DUE','nobody can be asked whether it happened','',0);
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
	gated INTEGER NOT NULL, 
	PRIMARY KEY (no), 
	CONSTRAINT status_known CHECK (status IN ('RUNNABLE', 'RUNNING', 'WAITING', 'STUCK', 'COMPENSATING', 'TERMINAL', 'FAILED', 'CANCELLED')), 
	CONSTRAINT end_status_known CHECK (end_status IN ('CANCELLED', 'FAILED', 'TERMINAL') OR end_status IS NULL), 
	UNIQUE (id), 
	UNIQUE (start_key)
);
INSERT INTO "run" VALUES(1,'r-6ewzat00eydh','agent','TERMINAL',4,9,1,1,X'ED881B09F5777EB73D254E897974B7551B27AA0EF6E35AE8A3D79455AA07BFBC',3,0,0,NULL,0,0,'','TERMINAL','',0,NULL,1800000000000000,1800000004200000,NULL,0,0,NULL,0,0,1,0,0,0);
INSERT INTO "run" VALUES(2,'r-6ewzay38ar3n','agent','FAILED',1,8,0,3,X'143EEDF2A2F67B68F69E613EED5A7AF30C28E718B9BE6BF258EBC874CF31C29A',1,0,0,NULL,0,0,'','FAILED','Boom: no money',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0,0);
INSERT INTO "run" VALUES(3,'r-6ewzay388myq','agent','COMPENSATING',3,4,0,1,X'D2AE73B01285F09D8755DC204118285FA8C5B37D93D6BEC790EC463496924F60',2,0,0,NULL,0,0,'','TERMINAL','',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0,0);
INSERT INTO "run" VALUES(4,'r-6ewzay38ng7a','agent','STUCK',2,2,0,1,X'6A51B6E4A4D51B120085621610C476BA2AAEDA34D6964A7C498BDDDCB9E33957',1,0,0,NULL,0,0,'a person',NULL,'only a person can know whether r-6ewzay38ng7a/-/0/tool happened',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0,0);
INSERT INTO "run" VALUES(5,'r-6ewzay38kd2c','agent','RUNNABLE',2,3,0,1,X'08621AA422D4BF7879E441AD5B38B199B2CCC3C154B8AFF451AD0FE835F5C27E',1,0,0,NULL,0,0,'',NULL,'',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0,0);
INSERT INTO "run" VALUES(6,'r-6ewzay38h9xe','agent','WAITING',1,2,0,1,X'A3883CB5CD07BE847408D76834354F1C5F828393A0E954AF7865303A1BA42CC2',1,0,0,NULL,0,0,'outbox of -/0/tool',NULL,'',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0,0);
INSERT INTO "run" VALUES(7,'r-6ewzay38f6rg','agent','WAITING',2,2,0,1,X'4D90B1010C0CDD8AD8B1FAD478FD1C46555460E4E072E11F75E4FAE443DCAF8C',1,0,0,NULL,0,0,'undo of -/0/tool',NULL,'',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0,0);
INSERT INTO "run" VALUES(8,'r-6ewzay38d3kj','agent','CANCELLED',0,2,0,0,X'0D17FE244E6C8D2A645F1DCD012337F3C27CA609550713A9874AD7CB9A313E70',0,0,0,NULL,0,0,'','CANCELLED','',1,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0,0);
INSERT INTO "run" VALUES(9,'r-6ewzay38w213','agent','RUNNABLE',0,1,0,0,X'CBF431D84398AAA0E125117941626D5E6A05D9B386315271D218442D31E8C016',0,0,0,NULL,0,0,'',NULL,'',0,'monday',1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0,0);
INSERT INTO "run" VALUES(10,'r-6ewzay38b0em','agent','RUNNING',1,2,0,1,X'95E3E8815E18184472BFFEEB160A2D1E4820C28B63CCD8516406BF809435D0F8',1,0,0,11,1019200000,0,'',NULL,'',0,NULL,1800000004200000,1800000004200000,NULL,0,0,NULL,0,0,0,0,0,0);
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
CREATE INDEX effect_open ON effect (run_no) WHERE status IN ('PENDING', 'UNKNOWN');
CREATE INDEX obligation_open ON obligation (run_no) WHERE status IN ('DUE', 'CLAIMED', 'STUCK');
CREATE INDEX lease_live ON lease (worker_no) WHERE status = 'LIVE';
CREATE INDEX cap_wait_recheck ON cap_wait (run_no) WHERE recheck = 1;
CREATE INDEX timer_due ON timer (fire_us) WHERE status = 'SET';
CREATE INDEX gate_due ON gate (deadline_us) WHERE status = 'OPEN' AND deadline_us IS NOT NULL;
CREATE INDEX ix_conflict_run_no ON "conflict" (run_no);
CREATE INDEX worker_alive ON worker (status) WHERE status <> 'DEAD';
COMMIT;
