PRAGMA user_version = 1;
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
CREATE TABLE budget (
	run_no INTEGER NOT NULL, 
	unit VARCHAR NOT NULL, 
	cap INTEGER, 
	reserved INTEGER NOT NULL, 
	spent INTEGER NOT NULL, 
	PRIMARY KEY (run_no, unit)
)
 WITHOUT ROWID;
INSERT INTO "budget" VALUES(1,'tokens',NULL,0,210);
INSERT INTO "budget" VALUES(1,'usd_micro',NULL,0,2000);
INSERT INTO "budget" VALUES(2,'tokens',NULL,0,0);
INSERT INTO "budget" VALUES(2,'usd_micro',NULL,0,0);
INSERT INTO "budget" VALUES(3,'tokens',NULL,0,0);
INSERT INTO "budget" VALUES(3,'usd_micro',NULL,0,0);
INSERT INTO "budget" VALUES(4,'tokens',NULL,0,0);
INSERT INTO "budget" VALUES(4,'usd_micro',NULL,0,0);
INSERT INTO "budget" VALUES(5,'tokens',NULL,0,0);
INSERT INTO "budget" VALUES(5,'usd_micro',NULL,0,0);
INSERT INTO "budget" VALUES(6,'tokens',NULL,0,0);
INSERT INTO "budget" VALUES(6,'usd_micro',NULL,0,0);
INSERT INTO "budget" VALUES(7,'tokens',NULL,0,0);
INSERT INTO "budget" VALUES(7,'usd_micro',NULL,0,0);
INSERT INTO "budget" VALUES(8,'tokens',NULL,0,0);
INSERT INTO "budget" VALUES(8,'usd_micro',NULL,0,0);
INSERT INTO "budget" VALUES(9,'tokens',NULL,0,0);
INSERT INTO "budget" VALUES(9,'usd_micro',NULL,0,0);
INSERT INTO "budget" VALUES(10,'tokens',NULL,0,0);
INSERT INTO "budget" VALUES(10,'usd_micro',NULL,0,0);
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
	PRIMARY KEY (run_no, "key"), 
	CONSTRAINT status_known CHECK (status IN ('PENDING', 'UNKNOWN', 'CONFIRMED', 'FAILED')), 
	CONSTRAINT dispatch_known CHECK (dispatch IN ('inline', 'outbox')), 
	CONSTRAINT semantics_known CHECK (semantics IN ('read_only', 'idempotent', 'non_idempotent')), 
	CONSTRAINT on_unknown_known CHECK (on_unknown IN ('ask', 'compensate')), 
	CONSTRAINT answer_known CHECK (answer IN ('none', 'present', 'absent', 'duplicate', 'unclear')), 
	CONSTRAINT step_known CHECK (step IN ('', 'again', 'ask', 'ask_later', 'confirm', 'confirm_first', 'compensate', 'person'))
)
 WITHOUT ROWID;
INSERT INTO "effect" VALUES('non_idempotent',1,1,2000000,'ask',NULL,1,1800000000000000,1,1000000000,1002200000,'unclear',1,'',1002200000,3,'',0,1,1,'r-6ewzat00eydh/-/0/tool','tool',-1,0,'fdef1c56ba73e4e51606f3d5ebcff1a6','CONFIRMED','inline',0,NULL,0,0,0,'observed','reconciler',10,27);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',1,NULL,0,1,0,'returned','agent',49,50);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/1/tool','tool',-1,1,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',1,NULL,0,1,0,'returned','agent',51,52);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,0,0,'none',0,'',0,0,'',0,0,2,'r-6ewzay38ar3n/-/2/tool','tool',-1,2,'74234e98afe7498fb5daf1f36ac2d78a','FAILED','inline',1,NULL,0,1,0,'rejected','agent',53,54);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,1004200000,1004200000,'none',0,'',0,1,'',0,1,3,'r-6ewzay388myq/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',1,NULL,0,0,0,'observed','reconciler',74,83);
INSERT INTO "effect" VALUES('non_idempotent',0,0,0,'ask',NULL,1,1800000004200000,1,1004200000,0,'none',0,'person',0,0,'',0,0,4,'r-6ewzay38ng7a/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','UNKNOWN','inline',0,NULL,0,0,0,'','',102,NULL);
INSERT INTO "effect" VALUES('non_idempotent',1,0,0,'ask',NULL,1,1800000004200000,1,1004200000,1004200000,'none',0,'',0,1,'',0,1,5,'r-6ewzay38kd2c/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','CONFIRMED','inline',0,NULL,0,0,0,'observed','reconciler',112,121);
INSERT INTO "effect" VALUES('idempotent',0,0,0,'ask',NULL,2,1800000004200000,0,1004200000,0,'none',0,'again',0,2,'reactor',1034200000,2,6,'r-6ewzay38h9xe/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','PENDING','outbox',0,NULL,0,0,0,'','',128,NULL);
INSERT INTO "effect" VALUES('non_idempotent',0,0,0,'compensate',NULL,1,1800000004200000,1,1004200000,0,'none',0,'compensate',0,0,'',0,0,7,'r-6ewzay38f6rg/-/0/tool','tool',-1,0,'74234e98afe7498fb5daf1f36ac2d78a','UNKNOWN','inline',1,NULL,0,0,0,'','',141,NULL);
INSERT INTO "effect" VALUES('idempotent',0,0,0,'ask',60000000,1,1800000004200000,0,0,0,'none',0,'',0,0,'',0,0,10,'r-6ewzay38b0em/-/0/tool','tool',-1,0,'ab96af5d33847cb4246bc071f1514639','PENDING','inline',0,NULL,1,1,0,'','',156,NULL);
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
INSERT INTO "entry" VALUES(2,1,1,'run_started',0,1800000000000000,'{"agent":"agent","input":{"task":"pay é😀","n":1,"ratio":1.0},"start_key":null,"actor":""}',X'2E1533B91A197D7233431DF7627AE38631F78DEA5EEE2013E70B8D99CEC2B115');
INSERT INTO "entry" VALUES(3,NULL,NULL,'worker_started',0,1800000000000000,'{"worker":1,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000002","host":"here"}',X'B61A651F6EC2C7FAFBFDB433CCAEC8387F1CC438DD32FEFED3EF3497EA61D240');
INSERT INTO "entry" VALUES(4,NULL,NULL,'worker_moved',0,1800000000000000,'{"worker":1,"pid":100,"status":"READY"}',X'08A0F36B2D4AB2A5BE11AFE888165215B4605325E159A1466F58071F912F2584');
INSERT INTO "entry" VALUES(5,1,NULL,'lease_granted',1,1800000000000000,'{"worker":1,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'92597FE77DFFC1DB0BB27DABCE5801325F1E69C52081F126CA1DB907D6544A00');
INSERT INTO "entry" VALUES(6,1,NULL,'order_placed',1,1800000000000000,'{"order":1,"verb":"kill","args":{"at":"effect.acted"},"actor":"me","reason":"drill"}',X'465BCFE5833C9574E9BB1F5301C2320355D90DE890FA1C9E757646202D1EE9D8');
INSERT INTO "entry" VALUES(7,1,NULL,'model_asked',1,1800000000000000,'{"index":0,"name":"ask","asks":1}',X'64A20AC5D2F514A90863D8E678CEA4771BF49EF3B6A010B2040FA9A9BF1FB2C1');
INSERT INTO "entry" VALUES(8,1,2,'decision',1,1800000000000000,'{"index":0,"name":"ask","fingerprint":"f","request":{"i":0},"reply":0,"error":null}',X'6647A9505EFA926F7F1AE5DC7FBC923E4AE3AA58CDBFBE96E9B197DF67F6493A');
INSERT INTO "entry" VALUES(9,1,3,'charge',1,1800000000000000,'{"pays_for":"decision 0","tokens_in":150,"tokens_out":60,"usd_micro":2000}',X'0A45EFC3A5703C36612E4880AFC883738C9EBA591A416E2EE611D9B56D253699');
INSERT INTO "entry" VALUES(10,1,4,'effect_begun',1,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":{"to":"ACME","amount_minor":12500},"args_hash":"fdef1c56ba73e4e51606f3d5ebcff1a6","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":false,"business_key":null}',X'B9ECCBC15362DF7FA76FEDE81C0326A14BC3DFEADA68468CED0D29A189150A19');
INSERT INTO "entry" VALUES(11,1,NULL,'point_reached',1,1800000000000000,'{"point":"effect.acted","death":"KILL","worker":1,"pid":100,"order":1}',X'CB4616D05D4FC9D449E0FE65A667DA4B204921942EEE348C85AB5A1931B3DC16');
INSERT INTO "entry" VALUES(12,NULL,NULL,'worker_died',0,1800000000000000,'{"worker":1,"pid":100,"how":"signal 9","proven":true}',X'1686C395898D2A0C0973C71136B5F7FB75E3812906ECDC935B62EBF591F8FAA2');
INSERT INTO "entry" VALUES(13,1,NULL,'lease_ended',1,1800000000000000,'{"worker":1,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'523B9A459712CE2604C6D8CE4D60B3F1CFBD7A7F2406B36C23EE3F5885928DD3');
INSERT INTO "entry" VALUES(14,1,NULL,'attempt_ended',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'5F5197CCDCBEB566FF93749A7BC94649CD938B931D5F294CC96DF02D2E2659E7');
INSERT INTO "entry" VALUES(15,1,NULL,'effect_doubted',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","status":"UNKNOWN","row":"N-ask-look-up","step":"ask","why":"signal 9"}',X'31C8AEDC1AEA305C06B83417D97E93C5783B0003C54211C49AD0C6BCC5F710D0');
INSERT INTO "entry" VALUES(16,1,NULL,'run_moved',2,1800000000000000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'BB8D650201BA5B94D1163CEE80532C02DFDD107A76FBB743DA3E0BAB1CC57600');
INSERT INTO "entry" VALUES(17,1,NULL,'write_refused',2,1800000000000000,'{"worker":1,"epoch":1,"live_epoch":2,"write":"effect_ended","why":"fenced","evidence":{"late":true}}',X'21AD094D594373AF293BB4C69249D999E55E9864FA666AB129346CF291E38F34');
INSERT INTO "entry" VALUES(18,1,NULL,'claimed',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","by":"reactor","claim_epoch":1}',X'52C9EB38CE7E6C655169F3BF576F28A23DFC9E983DC449FFF5281686020D1FE2');
INSERT INTO "entry" VALUES(19,1,NULL,'attempt_started',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"look-up","number":1,"by":"reactor","worker":null}',X'DCF1DFFF68047F10DFEF7FEE08649FB851A08C65CEE12586047287D570A0C171');
INSERT INTO "entry" VALUES(20,1,NULL,'observed',2,1800000000000000,'{"key":"r-6ewzat00eydh/-/0/tool","number":1,"answer":"absent","row":"N-settling","step":"ask_later","detail":null}',X'A25D74564A89F98FCD8F5A4F8AD2EF76D0F443A601C4D79786533D6AACB1C778');
INSERT INTO "entry" VALUES(21,1,NULL,'claimed',2,1800000002000000,'{"key":"r-6ewzat00eydh/-/0/tool","by":"reactor","claim_epoch":2}',X'7BEE22A215FEF9AA7D929A8DE293AFD9BBD2A0CF7E2FB53A504143B473138666');
INSERT INTO "entry" VALUES(22,1,NULL,'attempt_started',2,1800000002000000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"look-up","number":2,"by":"reactor","worker":null}',X'D7525303F3FD804E2DF2794F476683275737FFBA83148150CD9F24C67D3B687C');
INSERT INTO "entry" VALUES(23,1,NULL,'observed',2,1800000002000000,'{"key":"r-6ewzat00eydh/-/0/tool","number":2,"answer":"unclear","row":"N-unclear","step":"ask_later","detail":null}',X'55D29E184556ED6A19F1F8A07597D5E0DAF9466B55FCC27A3DFFA8997D2ABFF5');
INSERT INTO "entry" VALUES(24,1,NULL,'claimed',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","by":"reactor","claim_epoch":3}',X'E7F71B462E8D54BB9F24785494387703D6DF4FE80E69369837C94EB8B7FF4016');
INSERT INTO "entry" VALUES(25,1,NULL,'attempt_started',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","what":"look-up","number":3,"by":"reactor","worker":null}',X'46F52AA769F4C86A8CD8ABE92B4D3E824DFFA480CC9985AC3F01F663BFD1F91A');
INSERT INTO "entry" VALUES(26,1,NULL,'observed',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","number":3,"answer":"present","row":"N-present","step":"confirm","detail":{"acts":[{"wire_id":"w-1"}]}}',X'F19E0A3F6FE07151ACD81FA3AD9AAE26284D5A6E852A863765606BC065B97674');
INSERT INTO "entry" VALUES(27,1,5,'effect_ended',2,1800000002200000,'{"key":"r-6ewzat00eydh/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"observed","writer":"reconciler","row":"N-present","attempt":1,"result":{"wire_id":"w-1"},"error":null,"result_error":null}',X'7AF8C9388730DD78B9700AFC2C31DFCCD598B1C84F9AB5472CD5DE961D39ABA6');
INSERT INTO "entry" VALUES(28,1,NULL,'run_moved',2,1800000002200000,'{"status":"RUNNABLE","was":"WAITING","why":"r-6ewzat00eydh/-/0/tool is settled: N-present","commands":[]}',X'8706FD4B9C5C04EF8958730133C61F45EC387EC9F30261BD585EFADC67D07089');
INSERT INTO "entry" VALUES(29,NULL,NULL,'worker_started',0,1800000002200000,'{"worker":2,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000003","host":"here"}',X'216725A6DC9EF9709DC118AD85A29CDC8418D8311D33F637987088576FAD3A75');
INSERT INTO "entry" VALUES(30,NULL,NULL,'worker_moved',0,1800000002200000,'{"worker":2,"pid":100,"status":"READY"}',X'BF4685F445427DE55150BD2C478167CA01AB29232AE17E8B413ACFFCD50EFD95');
INSERT INTO "entry" VALUES(31,1,NULL,'lease_granted',3,1800000002200000,'{"worker":2,"pid":100,"epoch":3,"drive":2,"decision_index":1,"next_seq":6,"crashes":0,"alone":false}',X'8C09154BBF15390A8BD1F2B7B665B00BA17803ADE779C4B2985013703BF1A858');
INSERT INTO "entry" VALUES(32,1,NULL,'attached',3,1800000002200000,'{"decision_index":1,"next_seq":6,"drive":2,"replayed":["r-6ewzat00eydh/-/0/tool"]}',X'4B898E6DA455B3B22DFBA6F4DAB805C36EB237CB1B34836F1E4062E94B8E05F6');
INSERT INTO "entry" VALUES(33,1,6,'sample',3,1800000002200000,'{"index":0,"name":"now","fingerprint":"f","value":1,"error":null}',X'1943E4C9C9C2C1FB0735E71BF2CAFB550A9891567B27ED4627EDF2AD5CF756D0');
INSERT INTO "entry" VALUES(34,1,7,'timer_set',3,1800000002200000,'{"ordinal":0,"seconds":1.0,"fire_at_us":1800000003200000,"fingerprint":"f"}',X'FF114CFB792DF7C0F8F4305867021C714D3D83CE165FF99D5702E2B99C3D4F01');
INSERT INTO "entry" VALUES(35,1,NULL,'lease_ended',3,1800000002200000,'{"worker":2,"pid":100,"epoch":3,"status":"RELEASED","why":"sleeps"}',X'6808449BFC8D5BE8E88C7139756A618706BD9321D88B402B78ABA2FE80DDA08E');
INSERT INTO "entry" VALUES(36,1,NULL,'run_moved',3,1800000002200000,'{"status":"WAITING","was":"RUNNING","why":"sleeps","commands":[]}',X'6D3DFCE88B845FC8AFAD66AB2DA3592F441FFC671BE28B428626475E87836ABC');
INSERT INTO "entry" VALUES(37,1,8,'timer_fired',3,1800000004200000,'{"ordinal":0,"late_us":1000000}',X'B4A96A72540E1A7184625717D7506C8834DDE12C50A0FFF754F30A22403922F9');
INSERT INTO "entry" VALUES(38,1,NULL,'run_moved',3,1800000004200000,'{"status":"RUNNABLE","was":"WAITING","why":"timer 0 fired","commands":[]}',X'1EE79E3B70E35E81FF8DE8262899A2B28DE83638E450F8DDB676FC0F080D7D0E');
INSERT INTO "entry" VALUES(39,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":3,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000004","host":"here"}',X'3CF8EBDE3C4F39E31A2DBE49AAE7D939EDD374522234A69E02768B0D92906CFD');
INSERT INTO "entry" VALUES(40,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":3,"pid":100,"status":"READY"}',X'B2D092FC088A80508E5F447085D7D72C47AD9EAB45C3C7DB4618D30C214307CD');
INSERT INTO "entry" VALUES(41,1,NULL,'lease_granted',4,1800000004200000,'{"worker":3,"pid":100,"epoch":4,"drive":3,"decision_index":1,"next_seq":9,"crashes":0,"alone":false}',X'509DA2384F329EE5D457B00376CB5D5CF91329E17F4782B9F477AD7C46F46672');
INSERT INTO "entry" VALUES(42,1,NULL,'lease_ended',4,1800000004200000,'{"worker":3,"pid":100,"epoch":4,"status":"RELEASED","why":"the run ended"}',X'7E6FAB69A81F0F5BDC193EABCE2F3B76BECAB8D368D0F31588C349427F7AA98B');
INSERT INTO "entry" VALUES(43,1,9,'run_ended',4,1800000004200000,'{"outcome":"TERMINAL","result":{"paid":true},"error":null,"writer":"agent"}',X'7E51CBAF6B1D9DFA4689B690918E2D8C31EB027F7D8FAB9DF0E634D1F29AFA6B');
INSERT INTO "entry" VALUES(44,1,NULL,'run_moved',4,1800000004200000,'{"status":"TERMINAL","was":"RUNNING","why":"","commands":[]}',X'0840693013AFBAAE9D083F843E9BA9A36385B32837852CB03F1E19D2D86D612E');
INSERT INTO "entry" VALUES(45,2,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":""}',X'190C8BBF3A3BEE4290C9547E1245AD464AB65D34A7979A938AA74C77D6F5A2EF');
INSERT INTO "entry" VALUES(46,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":4,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000006","host":"here"}',X'D394696BA85C33FFBA12CCB413C18F729AE6BF2BEEC985B087DC0163A4F52041');
INSERT INTO "entry" VALUES(47,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":4,"pid":100,"status":"READY"}',X'5FFBAFD17A80BB439AC585593C0B00C25BCF1CEE32BBD346B60385C8AF82502E');
INSERT INTO "entry" VALUES(48,2,NULL,'lease_granted',1,1800000004200000,'{"worker":4,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'C58F7515F7F1DD2B085C825CA53D153E3F868819D514B99A7886B06A3270CCE0');
INSERT INTO "entry" VALUES(49,2,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null}',X'62287BDBE3FD3C573197391DE482775E12BEE3B3B4CA82977F3B705034AB33BA');
INSERT INTO "entry" VALUES(50,2,3,'effect_ended',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"returned","writer":"agent","row":"","attempt":1,"result":{"ok":1},"error":null,"result_error":null}',X'486B1C2005D98FE536F4DD937056BC0E378B7C9A91F53DB984C73759C4AB7552');
INSERT INTO "entry" VALUES(51,2,4,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool","decision_index":null,"ordinal":1,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null}',X'ABF554CF483B6A8DEBF7D6C6A6E4C676156879AABCC756FC27BA25F5AF698C6E');
INSERT INTO "entry" VALUES(52,2,5,'effect_ended',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool","tool":"tool","status":"CONFIRMED","resolution":"returned","writer":"agent","row":"","attempt":1,"result":{"ok":1},"error":null,"result_error":null}',X'43A3AE73F2188A6DAC5166A10C1F8C784B67E52983911D6C7123A1DE92F6433D');
INSERT INTO "entry" VALUES(53,2,6,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/2/tool","decision_index":null,"ordinal":2,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null}',X'28CA000A5910B5CA95B638F1A7F2D31CD09F268BBD7CCFDFA0A4FFC674A250ED');
INSERT INTO "entry" VALUES(54,2,7,'effect_ended',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/2/tool","tool":"tool","status":"FAILED","resolution":"rejected","writer":"agent","row":"","attempt":1,"result":null,"error":{"type":"Rejected","message":"no"},"result_error":null}',X'B843415C87FCE72C2BCEE83BCB96482251C18A384098380A18D3618A9750A9EE');
INSERT INTO "entry" VALUES(55,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/2/tool/undo/1","status":"DROPPED","was":"ARMED","why":"the act is certainly not in effect"}',X'C1708C42684CDA0A9E6FA6B0E05373C2F88DE05C01D99ECD63F64C246A146EAD');
INSERT INTO "entry" VALUES(56,2,NULL,'lease_ended',1,1800000004200000,'{"worker":4,"pid":100,"epoch":1,"status":"RELEASED","why":"the run ended"}',X'D630DF5A1762B5848228A151482E9A8E031BBA58C79F7CD0D35E3C8D1A75F679');
INSERT INTO "entry" VALUES(57,2,8,'run_ended',1,1800000004200000,'{"outcome":"FAILED","result":null,"error":{"type":"Boom","message":"no money"},"writer":"agent"}',X'6547F95572DE771DA181B8CDA0A6E18816E383A1B2471A3F8F97E3C59A48A65F');
INSERT INTO "entry" VALUES(58,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","status":"DUE","was":"ARMED","why":"the run ended FAILED"}',X'BDD5BA5CEB6A1AAA07087AA5FC9F31A34D0429B90C8C7DB88775568BF7CBBDEC');
INSERT INTO "entry" VALUES(59,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","status":"DUE","was":"ARMED","why":"the run ended FAILED"}',X'9314860FBEB86AC756FC7DA3345EE9EF512D51366B18D307626B18018E48E62C');
INSERT INTO "entry" VALUES(60,2,NULL,'run_moved',1,1800000004200000,'{"status":"COMPENSATING","was":"RUNNING","why":"2 acts to undo first","commands":[]}',X'7816C42D4FC6A1C67179102371980A1FEAC3E5AAF62967EE7134FA111CAEA081');
INSERT INTO "entry" VALUES(61,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","status":"CLAIMED","was":"DUE","why":"undo 1"}',X'A79C65866FD699CB9F0A83B41FE0436C2A1AFD397C955FBAA2BC77DBC515C497');
INSERT INTO "entry" VALUES(62,2,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","by":"undoer","claim_epoch":1}',X'4F17D4DCF65468AF66277AD7CC28CDB2ADA77CEAE802824F546CA4AAC82536D5');
INSERT INTO "entry" VALUES(63,2,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","what":"undo","number":1,"by":"undoer","worker":null}',X'B2B649A374F6B441F28DD8D3864D1F41E849977E51D4FA6A806A99C089B06E88');
INSERT INTO "entry" VALUES(64,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/1/tool/undo/1","status":"DONE","was":"CLAIMED","why":"undone"}',X'5590E3753BA320A50FB4B2D3D7047A31618C6A26BFAFB5EEC0E643BAE56729B6');
INSERT INTO "entry" VALUES(65,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","status":"CLAIMED","was":"DUE","why":"undo 1"}',X'6D8B7B8314421DF7A43DB5072471AFDC7859C49F1A3B8527196D96E7E977CFB4');
INSERT INTO "entry" VALUES(66,2,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","by":"undoer","claim_epoch":1}',X'D13EF1CC4CDC6BAA80C1A96FD5C533A968DE82A434E10D102375FEBAA5B708C9');
INSERT INTO "entry" VALUES(67,2,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","what":"undo","number":1,"by":"undoer","worker":null}',X'AC7A4E7EE3E263856A13D283BB7CEC093F68BBA7B74BF20E43B9353A4A3BC94B');
INSERT INTO "entry" VALUES(68,2,NULL,'obligation_moved',1,1800000004200000,'{"key":"r-6ewzay38ar3n/-/0/tool/undo/1","status":"DONE","was":"CLAIMED","why":"undone"}',X'866E91D3B10B04D7B248F87E8AAAA80393C81F9335C85A9C1CD54DBC12ACCD69');
INSERT INTO "entry" VALUES(69,2,NULL,'run_moved',1,1800000004200000,'{"status":"FAILED","was":"COMPENSATING","why":"everything owed is undone","commands":[]}',X'0FEDFD7F615229B02D2F369285F19D3BCE1CB67F8B9FDD0419080092A4F46F73');
INSERT INTO "entry" VALUES(70,3,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":""}',X'190C8BBF3A3BEE4290C9547E1245AD464AB65D34A7979A938AA74C77D6F5A2EF');
INSERT INTO "entry" VALUES(71,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":5,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000008","host":"here"}',X'4F5164980A52EE24713555DD637C7AF2EF67AD835853D892DFDC8A24875EC852');
INSERT INTO "entry" VALUES(72,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":5,"pid":100,"status":"READY"}',X'369E3E20FE1CAE08B8D966D9295C9D12C8BA8DBD49B0CAF67BEDCF13DFE83D00');
INSERT INTO "entry" VALUES(73,3,NULL,'lease_granted',1,1800000004200000,'{"worker":5,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'EB91EE68D49F86BD80F8C7D5301C03500C446D9B8B1A19C6F525C0327D6730E4');
INSERT INTO "entry" VALUES(74,3,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":true,"business_key":null}',X'2B8AEE565523187390C7F5707CF1D5311E88A6C7F3F184D62128A57BB516549F');
INSERT INTO "entry" VALUES(75,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":5,"pid":100,"how":"signal 9","proven":true}',X'E74B4C4E48A0EE0F99DE1C39081BBD737A03589EC34C0F616AF55A3F1CC99BE9');
INSERT INTO "entry" VALUES(76,3,NULL,'lease_ended',1,1800000004200000,'{"worker":5,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'77963E00C4FD1AF928982A9C857EA3C8B11F20FDA0ADFB7C0E1711AE61BEC298');
INSERT INTO "entry" VALUES(77,3,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'94886427FC1A494BD08D009830519607A437374344CA99C6A7D1DFC4A69CB075');
INSERT INTO "entry" VALUES(78,3,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","status":"UNKNOWN","row":"N-ask-look-up","step":"ask","why":"signal 9"}',X'EC853D0582DCE5F3FADD335AEE3E80237A427FD42A6C9EABCF4B76ED493E2760');
INSERT INTO "entry" VALUES(79,3,NULL,'run_moved',2,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'082EA7D90CB78BCA20040E38955D41528E7DC97280659A343EA55D23332DC714');
INSERT INTO "entry" VALUES(80,3,NULL,'claimed',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","by":"reactor","claim_epoch":1}',X'E5BC00102FBC74A918CC6E9880B8479F29CB083BBF9C3AE23F50D18C46224C0F');
INSERT INTO "entry" VALUES(81,3,NULL,'attempt_started',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","what":"look-up","number":1,"by":"reactor","worker":null}',X'30080484BBDE67D942ACE183F6D152AB0F39F333D97859010F3A1C0CC3AC8868');
INSERT INTO "entry" VALUES(82,3,NULL,'observed',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","number":1,"answer":"duplicate","row":"X-duplicate","step":"confirm_first","detail":{"acts":[{"id":1},{"id":2}]}}',X'5B554A3C2BC3E1D6CB61CEF2EB4B03EF213261A964F8075450ADD4B670C5EC94');
INSERT INTO "entry" VALUES(83,3,3,'effect_ended',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"observed","writer":"reconciler","row":"X-duplicate","attempt":1,"result":{"id":1},"error":null,"result_error":null}',X'A6194C01170A53D1C334DC37DC2CF6A6A56BDFC03C77733FFD7EA6C3E5B62BA3');
INSERT INTO "entry" VALUES(84,3,NULL,'obligation_moved',2,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","status":"DUE","was":"ARMED","why":"a surplus act was found"}',X'5B5298306E09664A090F1F1D20B8FECAF42F218ED9E7179685E2126E695BD0D0');
INSERT INTO "entry" VALUES(85,3,NULL,'run_moved',2,1800000004200000,'{"status":"RUNNABLE","was":"WAITING","why":"r-6ewzay388myq/-/0/tool is settled: X-duplicate","commands":[]}',X'1C80D7A6855FF7C5EB4DED8CE82316E0E08BC186891F12CA86493A3CFE4DFF0B');
INSERT INTO "entry" VALUES(86,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":6,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000009","host":"here"}',X'F32056712738EAFE5F38053400FD17BF582F5F793A8A5C5382FEA65F93982B0E');
INSERT INTO "entry" VALUES(87,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":6,"pid":100,"status":"READY"}',X'90380C41625E59C62A73EBB0326230B45CA78AC795009301B4E861BDE8964FC4');
INSERT INTO "entry" VALUES(88,3,NULL,'lease_granted',3,1800000004200000,'{"worker":6,"pid":100,"epoch":3,"drive":2,"decision_index":0,"next_seq":4,"crashes":0,"alone":false}',X'321E619A0C051C0A42EA98ABC9B53488975F19543090F21C6FAD4CEF9710105E');
INSERT INTO "entry" VALUES(89,3,NULL,'lease_ended',3,1800000004200000,'{"worker":6,"pid":100,"epoch":3,"status":"RELEASED","why":"the run ended"}',X'219BF126BBF595E5ED1BAE2C9D4EB2D9939904AC9AB1E8F64B01A7FA93F4D244');
INSERT INTO "entry" VALUES(90,3,4,'run_ended',3,1800000004200000,'{"outcome":"TERMINAL","result":null,"error":null,"writer":"agent"}',X'27FC0C0C848FBA85AAD02C73CB34306B5CA8C96A51A3069B6F1237B4E04A3876');
INSERT INTO "entry" VALUES(91,3,NULL,'obligation_moved',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/1","status":"DROPPED","was":"ARMED","why":"the run ended TERMINAL"}',X'B146B8763495C495E242074CE2D3C6BFA2C293DA38100E32896A6EC6BFC54031');
INSERT INTO "entry" VALUES(92,3,NULL,'run_moved',3,1800000004200000,'{"status":"COMPENSATING","was":"RUNNING","why":"1 act to undo first","commands":[]}',X'A58A79A1ED698016576ABE1F9649C2C34F139B49DDA04D6A58C7F7BB481CF27F');
INSERT INTO "entry" VALUES(93,3,NULL,'obligation_moved',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","status":"CLAIMED","was":"DUE","why":"undo 1"}',X'D79DC4403E8826A43B2A954EDD673C6F3BF4F1F48C2D2E9D05206ED0670A8571');
INSERT INTO "entry" VALUES(94,3,NULL,'claimed',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","by":"undoer","claim_epoch":1}',X'824EAE97E526ED3BE1006EF50B75823807CC17C0868A549512C55E824F16C110');
INSERT INTO "entry" VALUES(95,3,NULL,'attempt_started',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","what":"undo","number":1,"by":"undoer","worker":null}',X'84E89C32B14CF8EC9B1DC8DF187DFF86F527DFC7087E0C0E4967670605B8647E');
INSERT INTO "entry" VALUES(96,3,NULL,'attempt_ended',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","what":"undo","number":1,"how":"raised","error":{"type":"Boom","message":"it broke"}}',X'324F339EBA584F42E76BE54AC9C0B03FFF7DC6EE037E6F7D8137090310F73774');
INSERT INTO "entry" VALUES(97,3,NULL,'obligation_moved',3,1800000004200000,'{"key":"r-6ewzay388myq/-/0/tool/undo/2","status":"DUE","was":"CLAIMED","why":"raised"}',X'66186FF48B15512C7DD601796992BEDC97AF807D081DF63A81B1F97DE0AEC1C8');
INSERT INTO "entry" VALUES(98,4,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":""}',X'190C8BBF3A3BEE4290C9547E1245AD464AB65D34A7979A938AA74C77D6F5A2EF');
INSERT INTO "entry" VALUES(99,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":7,"pid":100,"start_ticks":7,"nonce":"0000000000000000000000000000000b","host":"here"}',X'4F5DC16A7F5DFDFB5E2810D558FAEB154D4500777AB2FF1A884088D8DB13962A');
INSERT INTO "entry" VALUES(100,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":7,"pid":100,"status":"READY"}',X'A32020B8DB7CAC64751943BA7D8B9CA0FD6B4C69266BB83616FC2C778368DC64');
INSERT INTO "entry" VALUES(101,4,NULL,'lease_granted',1,1800000004200000,'{"worker":7,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'AED6FEA7DD5048634874DBDB5711AE085E6A6C9A64928254B0236782F9D732B6');
INSERT INTO "entry" VALUES(102,4,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38ng7a/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":false,"compensable":false,"business_key":null}',X'7E9CDF7D4025BDC05A0BB31FD9A97A0C107A55EAFEEA36FF1457F1B9536BBDAC');
INSERT INTO "entry" VALUES(103,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":7,"pid":100,"how":"signal 9","proven":true}',X'39230FA965E2028573000E3AB792F856A29D983840C391B328F650429BC097A3');
INSERT INTO "entry" VALUES(104,4,NULL,'lease_ended',1,1800000004200000,'{"worker":7,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'FEBB4C12D69FEE9C4B7AA36516CD85595F701D478A094A71BB1E13E651B5CFB1');
INSERT INTO "entry" VALUES(105,4,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay38ng7a/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'37D9646F4B371945A3E571265374C2698F525357E4C82B8B37DD47BF6B281F29');
INSERT INTO "entry" VALUES(106,4,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay38ng7a/-/0/tool","status":"UNKNOWN","row":"N-ask","step":"person","why":"signal 9"}',X'423B3AAAAD281EFF2BA1DD5E1A8D168D140D261437089C46299F79D1608F3CE0');
INSERT INTO "entry" VALUES(107,4,NULL,'run_moved',2,1800000004200000,'{"status":"STUCK","was":"RUNNING","why":"only a person can know whether r-6ewzay38ng7a/-/0/tool happened","commands":["tape resolve r-6ewzay38ng7a/-/0/tool --confirm JSON --reason TEXT","tape resolve r-6ewzay38ng7a/-/0/tool --fail --reason TEXT","tape resolve r-6ewzay38ng7a/-/0/tool --retry --reason TEXT"]}',X'CD4731838E13581DC387065A60E2A7E22A5C51BF733005326870C978819043CA');
INSERT INTO "entry" VALUES(108,5,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":""}',X'190C8BBF3A3BEE4290C9547E1245AD464AB65D34A7979A938AA74C77D6F5A2EF');
INSERT INTO "entry" VALUES(109,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":8,"pid":100,"start_ticks":7,"nonce":"0000000000000000000000000000000d","host":"here"}',X'4F63F8277EE29814C21F631BCFBA7B078A90ADA9AAEB3A20C88525270B3E3096');
INSERT INTO "entry" VALUES(110,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":8,"pid":100,"status":"READY"}',X'F8F4C9176A23554DDEEAF8C5F5BA22FF1386D90F9960E208867D7E226E360F0E');
INSERT INTO "entry" VALUES(111,5,NULL,'lease_granted',1,1800000004200000,'{"worker":8,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'0E9A87B1490A24A7C73BD5BB031728E1057F18201605CF786A10B94F0E340C92');
INSERT INTO "entry" VALUES(112,5,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":true,"compensable":false,"business_key":null}',X'B0AAF63019C5E11D49E11F972ADD005FEDCA4AAC5640EE42BA27B712871BDED2');
INSERT INTO "entry" VALUES(113,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":8,"pid":100,"how":"signal 9","proven":true}',X'7861579A374AB9A0991B9206D9E42F1C81C560C7436E0EE1CDB2C4C304B53AF6');
INSERT INTO "entry" VALUES(114,5,NULL,'lease_ended',1,1800000004200000,'{"worker":8,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'12E9DB8466E9C627A37FC56E1F2BDB76FE9C8D3EF54FBAF7B11ADF2DA36D2DF2');
INSERT INTO "entry" VALUES(115,5,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'B1F3BA403830EEE7F38836C28FD3ACA14D801DAE8E753AC9D40C6C611D83C2A5');
INSERT INTO "entry" VALUES(116,5,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","status":"UNKNOWN","row":"N-ask-look-up","step":"ask","why":"signal 9"}',X'31F1BB01126FECC31829FE85FC1B40FE407E278104EF85F239929F712A05FB8A');
INSERT INTO "entry" VALUES(117,5,NULL,'run_moved',2,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'C6CD82C8612FB444CC8B5396593E11574D93D9D1FF3541A453A21081AE472995');
INSERT INTO "entry" VALUES(118,5,NULL,'claimed',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","by":"reactor","claim_epoch":1}',X'5C975CA6305F1D34C50499DD7B565BA5FA49341207A92E1B2FBB26F7A34F9CB1');
INSERT INTO "entry" VALUES(119,5,NULL,'attempt_started',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","what":"look-up","number":1,"by":"reactor","worker":null}',X'1260245CB58DF229F89478A059EE29752223DA9050EDA930F5277F4BC5E3C262');
INSERT INTO "entry" VALUES(120,5,NULL,'observed',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","number":1,"answer":"duplicate","row":"X-duplicate","step":"confirm_first","detail":{"acts":[{"id":1},{"id":2}]}}',X'EB9D7C0A3D6600258B1BD6722B24368994A00B9C4F47503B8235B775045E9DAF');
INSERT INTO "entry" VALUES(121,5,3,'effect_ended',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","tool":"tool","status":"CONFIRMED","resolution":"observed","writer":"reconciler","row":"X-duplicate","attempt":1,"result":{"id":1},"error":null,"result_error":null}',X'1B0A0AD6BB78EF0200DAB01A1FAE72964ED6E0A8DE9FB74B315BE778573814B6');
INSERT INTO "entry" VALUES(122,5,NULL,'conflict_opened',2,1800000004200000,'{"key":"r-6ewzay38kd2c/-/0/tool","why":"the upstream holds a surplus act that cannot be undone","evidence":{"id":2}}',X'D7F631021281D5283717355900C2E51C7DFAD2CD8A39683373C3AF5470189F4C');
INSERT INTO "entry" VALUES(123,5,NULL,'run_moved',2,1800000004200000,'{"status":"RUNNABLE","was":"WAITING","why":"r-6ewzay38kd2c/-/0/tool is settled: X-duplicate","commands":[]}',X'D790B8E3E13665B0BBAF638AA4CA39E87C3A978B54B89072A376CDFB92FA05EF');
INSERT INTO "entry" VALUES(124,6,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":""}',X'190C8BBF3A3BEE4290C9547E1245AD464AB65D34A7979A938AA74C77D6F5A2EF');
INSERT INTO "entry" VALUES(125,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":9,"pid":100,"start_ticks":7,"nonce":"0000000000000000000000000000000f","host":"here"}',X'CF137E522AD19111EE3A9C6BA4AEF7985AC182D409FF8D88B6EA07A479CC2159');
INSERT INTO "entry" VALUES(126,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":9,"pid":100,"status":"READY"}',X'A918E80669F4DE8D6501C1779CE78EF6731EBFC0590C7871694537B634CFDC51');
INSERT INTO "entry" VALUES(127,6,NULL,'lease_granted',1,1800000004200000,'{"worker":9,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'6F618477045239B19FCB8F3E2C1A7523D90B1682175167B91C1DB0B85D027EB3');
INSERT INTO "entry" VALUES(128,6,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"idempotent","dispatch":"outbox","look_up":false,"compensable":false,"business_key":null}',X'82EB79E19E4BF1F0618CF1C661EBBD9AC31AC575DD14BF3F5448525D722A7896');
INSERT INTO "entry" VALUES(129,6,NULL,'lease_ended',1,1800000004200000,'{"worker":9,"pid":100,"epoch":1,"status":"RELEASED","why":"waits"}',X'4A8F0DC6A8C5C28645B207C719BE372B15A6E061618E96FBF93BCE421732CC95');
INSERT INTO "entry" VALUES(130,6,NULL,'run_moved',1,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"waits","commands":[]}',X'709B1DB10B64FF3CDC5E2DB0D13004E006237D7E2D67BD3F049BD2C97DCDA313');
INSERT INTO "entry" VALUES(131,6,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","by":"reactor","claim_epoch":1}',X'6E37070B63F1BB21C0F3E366FD80E07202CD0C5B68635A10C7497CCCC6AAFA94');
INSERT INTO "entry" VALUES(132,6,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","what":"body","number":1,"by":"reactor","worker":null}',X'087FB7D785114CB3D440A7F69C4627202933812FA3DDB9EF4E31D5D3DF2212D4');
INSERT INTO "entry" VALUES(133,6,NULL,'attempt_ended',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","what":"body","number":1,"how":"died","error":null}',X'88D07ADE2A7946D6A9CE7177D5B6FA038CF518F881F20C8278B11334C06D6100');
INSERT INTO "entry" VALUES(134,6,NULL,'effect_doubted',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","status":"PENDING","row":"I-again","step":"again","why":"died"}',X'AE5C273DECFCF9576E5CBF16E3FC510D9913CB7DAEC73B5718DC081DB019ACA3');
INSERT INTO "entry" VALUES(135,6,NULL,'claimed',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","by":"reactor","claim_epoch":2}',X'23225E6C16D45280A9BC6E4F3BBC8B3241DFC3B31E163454D1DEC93FEFE2E053');
INSERT INTO "entry" VALUES(136,6,NULL,'attempt_started',1,1800000004200000,'{"key":"r-6ewzay38h9xe/-/0/tool","what":"body","number":2,"by":"reactor","worker":null}',X'DFA3D13178EAFD6516706D330479604F43FAC37017EE794E8708379B92896D6F');
INSERT INTO "entry" VALUES(137,7,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":""}',X'190C8BBF3A3BEE4290C9547E1245AD464AB65D34A7979A938AA74C77D6F5A2EF');
INSERT INTO "entry" VALUES(138,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":10,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000011","host":"here"}',X'743199EDFF8845F56F806B5986FA089BC1687997F706683F4F1E3F786D4D4F73');
INSERT INTO "entry" VALUES(139,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":10,"pid":100,"status":"READY"}',X'02AC57AA00B4655855223A5B75850C728D38EBFBD9F96220DCC194BB0689D797');
INSERT INTO "entry" VALUES(140,7,NULL,'lease_granted',1,1800000004200000,'{"worker":10,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'F0D938FF7810039E879C770D7FD131C30BBF1D7DDDDD2649A6E614510249F624');
INSERT INTO "entry" VALUES(141,7,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":null,"args_hash":"74234e98afe7498fb5daf1f36ac2d78a","fingerprint":"f","semantics":"non_idempotent","dispatch":"inline","look_up":false,"compensable":true,"business_key":null}',X'C7192D75EFD2299871AB65B26282AD6971CD344CB12544C6ECDA63398FB85F76');
INSERT INTO "entry" VALUES(142,NULL,NULL,'worker_died',0,1800000004200000,'{"worker":10,"pid":100,"how":"signal 9","proven":true}',X'BA9A54DE4F0C1998A2356496B3B884F9CE4D07810D84155A105802C701438F2F');
INSERT INTO "entry" VALUES(143,7,NULL,'lease_ended',1,1800000004200000,'{"worker":10,"pid":100,"epoch":1,"status":"DIED","why":"signal 9"}',X'751A712EEA485674D0F2CE0137D483B289F8B4A64DD33F661F226E1314F83453');
INSERT INTO "entry" VALUES(144,7,NULL,'attempt_ended',2,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool","what":"body","number":1,"how":"signal 9","error":null}',X'6885C09F703D3A5A24952686C4CA71DA12D88F598A702962768D2F9E0B4AEB6F');
INSERT INTO "entry" VALUES(145,7,NULL,'effect_doubted',2,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool","status":"UNKNOWN","row":"N-undo","step":"compensate","why":"signal 9"}',X'F5449698A115D69338373D3F866381D5F3C00CB3D1D092FACC2068C55326295A');
INSERT INTO "entry" VALUES(146,7,NULL,'obligation_moved',2,1800000004200000,'{"key":"r-6ewzay38f6rg/-/0/tool/undo/1","status":"DUE","was":"ARMED","why":"nobody can be asked whether it happened"}',X'9F86D52843A07036E248B7723D32DD6B9F1C6BC2A54EC019C8B3B338374E3484');
INSERT INTO "entry" VALUES(147,7,NULL,'run_moved',2,1800000004200000,'{"status":"WAITING","was":"RUNNING","why":"signal 9","commands":[]}',X'D8C728A8D75169860DF1011FC6996649A73B78B9F2B928BBF158562FC23F2BF2');
INSERT INTO "entry" VALUES(148,8,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":""}',X'190C8BBF3A3BEE4290C9547E1245AD464AB65D34A7979A938AA74C77D6F5A2EF');
INSERT INTO "entry" VALUES(149,8,2,'run_ended',0,1800000004200000,'{"outcome":"CANCELLED","result":null,"error":null,"writer":"operator"}',X'0545B0F7106839E4824BFD2803489F0BA8F08584395467A0AA920645A3BE78FF');
INSERT INTO "entry" VALUES(150,8,NULL,'run_moved',0,1800000004200000,'{"status":"CANCELLED","was":"RUNNABLE","why":"","commands":[]}',X'47B6744CCA33F6D3ACC384E7B318EA4726D10C0F13645591C22440B542E7A0E5');
INSERT INTO "entry" VALUES(151,9,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"not begun","start_key":"monday","actor":""}',X'CE959CE7A026E9978E117E1D6F1D16C12CECDF3741BB3384B2C864670D906845');
INSERT INTO "entry" VALUES(152,10,1,'run_started',0,1800000004200000,'{"agent":"agent","input":"task","start_key":null,"actor":""}',X'190C8BBF3A3BEE4290C9547E1245AD464AB65D34A7979A938AA74C77D6F5A2EF');
INSERT INTO "entry" VALUES(153,NULL,NULL,'worker_started',0,1800000004200000,'{"worker":11,"pid":100,"start_ticks":7,"nonce":"00000000000000000000000000000015","host":"here"}',X'D54F2D2DC44E03D1A54E36E984B615781DEA5F3300F4570B0C3D74F3A7629618');
INSERT INTO "entry" VALUES(154,NULL,NULL,'worker_moved',0,1800000004200000,'{"worker":11,"pid":100,"status":"READY"}',X'9845EF942628620400B3C877BED23C34ED14C6E0D3716D5F05FB12D2A31EDF22');
INSERT INTO "entry" VALUES(155,10,NULL,'lease_granted',1,1800000004200000,'{"worker":11,"pid":100,"epoch":1,"drive":1,"decision_index":0,"next_seq":2,"crashes":0,"alone":false}',X'D3411846C81B1CEE8660540247D2981C4AB50A499DC1B5B75634C0F52DDED8E7');
INSERT INTO "entry" VALUES(156,10,2,'effect_begun',1,1800000004200000,'{"key":"r-6ewzay38b0em/-/0/tool","decision_index":null,"ordinal":0,"tool":"tool","args":{"live":null},"args_hash":"ab96af5d33847cb4246bc071f1514639","fingerprint":"f","semantics":"idempotent","dispatch":"inline","look_up":false,"compensable":false,"business_key":null}',X'215EBD147BB1BC754D98EC9F26DB1D8667351B74C5C7EF77B503594D04FAD024');
CREATE TABLE gate (
	run_no INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	ordinal INTEGER NOT NULL, 
	status VARCHAR NOT NULL, 
	prompt VARCHAR NOT NULL, 
	options VARCHAR NOT NULL, 
	answer VARCHAR, 
	deadline_us INTEGER, 
	PRIMARY KEY (run_no, name, ordinal), 
	CONSTRAINT status_known CHECK (status IN ('OPEN', 'ANSWERED', 'DROPPED'))
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
	PRIMARY KEY (no), 
	CONSTRAINT status_known CHECK (status IN ('RUNNABLE', 'RUNNING', 'WAITING', 'STUCK', 'COMPENSATING', 'TERMINAL', 'FAILED', 'CANCELLED')), 
	CONSTRAINT end_status_known CHECK (end_status IN ('TERMINAL', 'FAILED', 'CANCELLED') OR end_status IS NULL), 
	UNIQUE (id), 
	UNIQUE (start_key)
);
INSERT INTO "run" VALUES(1,'r-6ewzat00eydh','agent','TERMINAL',4,9,1,1,X'0840693013AFBAAE9D083F843E9BA9A36385B32837852CB03F1E19D2D86D612E',3,0,0,NULL,0,0,'','TERMINAL','',0,NULL,1800000000000000,1800000004200000);
INSERT INTO "run" VALUES(2,'r-6ewzay38ar3n','agent','FAILED',1,8,0,3,X'0FEDFD7F615229B02D2F369285F19D3BCE1CB67F8B9FDD0419080092A4F46F73',1,0,0,NULL,0,0,'','FAILED','no money',0,NULL,1800000004200000,1800000004200000);
INSERT INTO "run" VALUES(3,'r-6ewzay388myq','agent','COMPENSATING',3,4,0,1,X'66186FF48B15512C7DD601796992BEDC97AF807D081DF63A81B1F97DE0AEC1C8',2,0,0,NULL,0,0,'','TERMINAL','',0,NULL,1800000004200000,1800000004200000);
INSERT INTO "run" VALUES(4,'r-6ewzay38ng7a','agent','STUCK',2,2,0,1,X'CD4731838E13581DC387065A60E2A7E22A5C51BF733005326870C978819043CA',1,0,0,NULL,0,0,'a person',NULL,'only a person can know whether r-6ewzay38ng7a/-/0/tool happened',0,NULL,1800000004200000,1800000004200000);
INSERT INTO "run" VALUES(5,'r-6ewzay38kd2c','agent','RUNNABLE',2,3,0,1,X'D790B8E3E13665B0BBAF638AA4CA39E87C3A978B54B89072A376CDFB92FA05EF',1,0,0,NULL,0,0,'',NULL,'',0,NULL,1800000004200000,1800000004200000);
INSERT INTO "run" VALUES(6,'r-6ewzay38h9xe','agent','WAITING',1,2,0,1,X'DFA3D13178EAFD6516706D330479604F43FAC37017EE794E8708379B92896D6F',1,0,0,NULL,0,0,'outbox of -/0/tool',NULL,'',0,NULL,1800000004200000,1800000004200000);
INSERT INTO "run" VALUES(7,'r-6ewzay38f6rg','agent','WAITING',2,2,0,1,X'D8C728A8D75169860DF1011FC6996649A73B78B9F2B928BBF158562FC23F2BF2',1,0,0,NULL,0,0,'undo of -/0/tool',NULL,'',0,NULL,1800000004200000,1800000004200000);
INSERT INTO "run" VALUES(8,'r-6ewzay38d3kj','agent','CANCELLED',0,2,0,0,X'47B6744CCA33F6D3ACC384E7B318EA4726D10C0F13645591C22440B542E7A0E5',0,0,0,NULL,0,0,'','CANCELLED','',1,NULL,1800000004200000,1800000004200000);
INSERT INTO "run" VALUES(9,'r-6ewzay38w213','agent','RUNNABLE',0,1,0,0,X'CE959CE7A026E9978E117E1D6F1D16C12CECDF3741BB3384B2C864670D906845',0,0,0,NULL,0,0,'',NULL,'',0,'monday',1800000004200000,1800000004200000);
INSERT INTO "run" VALUES(10,'r-6ewzay38b0em','agent','RUNNING',1,2,0,1,X'215EBD147BB1BC754D98EC9F26DB1D8667351B74C5C7EF77B503594D04FAD024',1,0,0,11,1019200000,0,'',NULL,'',0,NULL,1800000004200000,1800000004200000);
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
CREATE INDEX lease_live ON lease (worker_no) WHERE status = 'LIVE';
CREATE INDEX timer_due ON timer (fire_us) WHERE status = 'SET';
CREATE INDEX ix_conflict_run_no ON "conflict" (run_no);
CREATE INDEX worker_alive ON worker (status) WHERE status <> 'DEAD';
COMMIT;
